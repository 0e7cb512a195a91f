#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace moecarlo {

/// The value of a key that has to be there. Throws std::out_of_range with the name of the key, or with that of one
/// which was probably meant to be it.
const nlohmann::ordered_json& member(const nlohmann::ordered_json& object, const char* key);

/// Adds the members of `more`, or replaces those of their names. (`update` of nlohmann's ordered objects forgets where
/// their members belong, which the library's own assertions forbid.)
void add_members(nlohmann::ordered_json& object, const nlohmann::ordered_json& more);

/// Refuses, by an `Error` of kind input with the way to it ("points[2].hit_rate"), the first key of `found` that
/// `again` has not: what was read of `found`, written again. Values are not compared.
void expect_keys_of(const nlohmann::ordered_json& found, const nlohmann::ordered_json& again, const std::string& where);

}  // namespace moecarlo
