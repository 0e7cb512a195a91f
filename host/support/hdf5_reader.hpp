#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/support/descriptor.hpp"
#include "host/support/hdf5.hpp"
#include "host/support/hdf5_chunks.hpp"
#include "host/support/hdf5_process.hpp"
#include "host/support/message.hpp"

namespace moecarlo::hdf5 {

/// One file and the process that reads it. Whatever becomes of the process while it answers is the file's fault, and an
/// `Error` of kind input. It may take 3 s of processor time and 1 s for every 50 MB that are read from the file; time
/// counts again for what is read again. It may wait for slow storage, but not for ever. Numbers that stand in the file
/// as they are, or in chunks behind filters that we undo ourselves, the program reads where the process says that they
/// lie; all others the process reads. Not for several threads at a time.
class Reader : public std::enable_shared_from_this<Reader> {
 public:
  explicit Reader(const std::filesystem::path& path,
                  std::chrono::milliseconds longest_silence = std::chrono::minutes(5));
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const std::string& name() const { return name_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  // Questions about a group. They throw what the process says against the file.
  std::uint64_t ask_number(Question question, std::uint64_t group, std::string_view member);
  std::string ask_text(Question question, std::uint64_t group, std::string_view member);
  std::vector<std::string> ask_texts(Question question, std::uint64_t group, std::string_view member);
  Dataset open_dataset(std::uint64_t group, const std::string& member, std::string name);
  void read_rows(const Dataset& dataset, const WantedRows& wanted);

  /// Numbers whose last copies close a group, a dataset.
  std::shared_ptr<const std::uint64_t> group_number(std::uint64_t number);
  std::shared_ptr<const std::uint64_t> dataset_number(std::uint64_t number);

 private:
  struct Piece;
  class Pieces;

  Reader(std::string name, Descriptor file, std::chrono::milliseconds longest_silence);
  Message begin(Question question);
  void send(const Message& question);
  Message answer();
  Message ask(Question question, std::uint64_t group, std::string_view member);
  /// What `take` takes from an answer. One that is too short is no answer of ours: the process has been led astray.
  template <class Take>
  auto taken(Message message, const Take& take) {
    try {
      return take(message);
    } catch (const std::out_of_range&) {
      refuse_ended();
    }
  }
  void wait_for_answer();
  void skip_answer();
  ChunkLayout take_layout(Message& answer, const Dataset& dataset);
  template <class Ask, class Take>
  void in_turn(const Ask& ask, const Take& take);
  void read_in_chunks(const Dataset& dataset, const WantedRows& wanted);
  void read_in_pieces(const Dataset& dataset, const WantedRows& wanted);
  bool read_plain(const Dataset& dataset, const WantedRows& wanted) const;
  void ask_for(const Dataset& dataset, const Piece& piece, std::uint64_t slot);
  void copy(const Dataset& dataset, const Piece& piece, std::uint64_t slot, const WantedRows& wanted) const;
  void make_room(std::uint64_t slot_bytes);
  std::chrono::nanoseconds allowed_time() const;
  std::chrono::nanoseconds used_time() const;
  [[noreturn]] void refuse(const std::string& why);
  [[noreturn]] void refuse_ended();

  std::string name_;
  std::chrono::milliseconds longest_silence_;  ///< neither an answer nor any computing
  std::uint64_t file_bytes_ = 0, read_bytes_ = 0;
  Descriptor file_, memory_, socket_;
  pid_t process_ = -1;
  std::vector<std::uint64_t> closed_groups_, closed_datasets_;
  char* shared_ = nullptr;
  std::uint64_t slot_bytes_ = 0;  ///< the shared memory is two slots long
};

}  // namespace moecarlo::hdf5
