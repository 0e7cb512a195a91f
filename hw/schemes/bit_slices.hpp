#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/statistics/results.hpp"
#include "host/weights/format_figures.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// What `moecarlo bitslice` found in the weights of a model's experts.
struct BitSlices {
  std::string path, model;
  std::shared_ptr<const WeightFigures> figures;    ///< of all weights together
  std::shared_ptr<const FormatFigures> formats{};  ///< the same in other formats; always there where they were read
};

/// Reads a bitslice.json (schema moecarlo-bitslice 2). Throws input, naming the file and what is wrong.
BitSlices read_bit_slices(const std::filesystem::path& file);

/// The model with its experts' slices as measured: coded where that is shorter, multiplications by a slice of zeros
/// left out (of an LSB-augmented draft, 16 sum(x m) + 8 sum(x), those of the first sum; the second is one for all
/// outputs). Throws usage where its experts are not made of 8-bit weights.
Model measured(Model model, const BitSlices& slices);

/// The scheme "NAME-measured": the same on experts with slices as `measured` has them, whatever model it is given. Only
/// slices are stored coded, so that it makes sense of schemes that keep upper bits.
Scheme on_measured_slices(const Scheme& scheme, const Model& measured);

/// A sentence about the numbers of kept bits that cut nothing from the model's experts: those that are not less than
/// the experts' own, and all where upper bits are no weight of their own. Empty where every number cuts something.
std::string uncut_note(const Model& model, std::span<const std::uint32_t> bits);

/// Sizes of one expert and multiplications saved at so many kept bits, nominal beside measured.
std::vector<MeasuredQuantity> measured_quantities(const System& system, const Model& nominal, const Model& measured,
                                                  std::uint32_t bits);

}  // namespace moecarlo::hw
