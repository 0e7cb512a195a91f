// How a Reader gets rows of a dataset: straight from the file, where numbers or chunks that we can read stand there, or
// piece by piece from the process.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/support/hdf5_reader.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo::hdf5 {
namespace {

constexpr std::uint64_t usual_slot_bytes = std::uint64_t{4} << 20;

}  // namespace

/// Data in one piece, in the form of this machine, need no library: whatever bytes stand there are numbers.
bool Reader::read_plain(const Dataset& dataset, const WantedRows& wanted) const {
  const std::uint64_t row = dataset.row_elements() * size_in_bytes(dataset.element_), bytes = dataset.rows() * row;
  if (bytes > file_bytes_ || dataset.offset_ > file_bytes_ - bytes) return false;
  std::uint64_t at = dataset.offset_ + wanted.first * row, left = wanted.count * row;
  for (char* out = wanted.out; left > 0;) {
    const ::ssize_t got = ::pread(file_.get(), out, left, static_cast<::off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    at += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
  }
  return true;
}

ChunkLayout Reader::take_layout(Message& answer, const Dataset& dataset) {
  ChunkLayout layout;
  layout.element_bytes = size_in_bytes(dataset.element_);
  layout.extents = dataset.extents_;
  std::uint64_t room = largest_chunk_bytes(file_bytes_) / layout.element_bytes;
  for (std::size_t i = 0; i < layout.extents.size(); ++i) {
    layout.chunk.push_back(std::max<std::uint64_t>(1, answer.take_number()));
    room /= layout.chunk.back();
  }
  layout.filters.resize(std::min<std::uint64_t>(2, answer.take_number()));
  for (ChunkFilter& filter : layout.filters) {
    filter = answer.take_number() == 0 ? ChunkFilter::shuffle : ChunkFilter::deflate;
  }
  if (room == 0) refuse_ended();
  return layout;
}

/// Keeps two questions under way, so that the process puts something into one slot of the shared memory while the other
/// is worked on. ask(slot) asks, or is false where nothing is left to ask; take(answer, slot) takes the answers in
/// turn.
template <class Ask, class Take>
void Reader::in_turn(const Ask& ask, const Take& take) {
  std::uint64_t asked = 0, answered = 0;
  const auto ask_next = [&] { asked += ask(asked % 2) ? 1 : 0; };
  ask_next();
  ask_next();
  for (; answered < asked; ++answered, ask_next()) {
    try {
      take(answer(), answered % 2);
    } catch (...) {
      if (answered + 1 < asked) skip_answer();
      throw;
    }
  }
}

/// Of chunks as they are stored, as many at a time as keep all cores busy and fit a slot.
void Reader::read_in_chunks(const Dataset& dataset, const WantedRows& wanted) {
  const ChunkLayout& layout = dataset.layout_;
  const std::uint64_t per_row = layout.chunks_per_row(), largest = layout.largest_stored_bytes();
  const std::uint64_t slot = std::clamp(2 * thread_count(0) * largest, usual_slot_bytes, largest_piece_bytes);
  const std::uint64_t at_once = slot / largest;
  make_room(slot);
  const std::uint64_t end = ((wanted.first + wanted.count - 1) / layout.chunk[0] + 1) * per_row;
  const std::uint64_t chunk_rows = (dataset.rows() + layout.chunk[0] - 1) / layout.chunk[0];
  const std::uint64_t usual_bytes = dataset.stored_bytes_ / (chunk_rows * per_row) + 1;
  std::uint64_t to_ask = wanted.first / layout.chunk[0] * per_row, to_take = to_ask;
  const auto ask = [&](std::uint64_t slot_number) {
    if (to_ask == end) return false;
    const std::uint64_t count = std::min(at_once, end - to_ask);
    read_bytes_ += count * usual_bytes;
    send(begin(Question::read_chunks)
             .put(*dataset.number_)
             .put(to_ask)
             .put(count)
             .put(2 * slot_bytes_)
             .put(slot_number * slot_bytes_)
             .put(slot_bytes_));
    to_ask += count;
    return true;
  };
  const auto take = [&](Message answer, std::uint64_t slot_number) {
    const std::uint64_t count = std::min(at_once, end - to_take);
    const auto* const memory = reinterpret_cast<const std::byte*>(shared_ + slot_number * slot_bytes_);
    const std::vector<StoredChunk> chunks = taken(std::move(answer), [&](Message& numbers) {
      std::span<const std::byte> left(memory, slot_bytes_);
      std::vector<StoredChunk> found(count);
      for (StoredChunk& chunk : found) {
        const std::uint64_t bytes = numbers.take_number();
        if (bytes > left.size()) refuse_ended();
        chunk = {left.first(bytes), numbers.take_number()};
        left = left.subspan(bytes);
      }
      return found;
    });
    unpack_chunks(dataset.name_, layout, to_take, chunks, wanted);
    to_take += count;
  };
  in_turn(ask, take);
}

/// Rows and columns of a dataset, where the columns are those of its second extent.
struct Reader::Piece {
  std::uint64_t first_row, rows, first_column, columns;
};

/// Cuts rows into pieces that fit a slot and, where possible, hold whole chunks, so that none is decompressed twice.
class Reader::Pieces {
 public:
  Pieces(const Dataset& dataset, std::uint64_t first, std::uint64_t count)
      : columns_(dataset.extents_.size() > 1 ? dataset.extents_[1] : 1),
        chunk_rows_(dataset.rows_per_chunk_),
        end_(first + count),
        next_{first, 0, 0, 0} {
    const std::uint64_t row = dataset.row_elements() * size_in_bytes(dataset.element_), column = row / columns_;
    const std::uint64_t chunk_column = std::min(dataset.columns_per_chunk_, columns_) * column;
    slot_bytes_ = std::clamp(chunk_rows_ * chunk_column, usual_slot_bytes, largest_piece_bytes);
    if (chunk_column > slot_bytes_) fail(ErrorKind::input, "{}: rows too long to read", dataset.name_);
    if (chunk_rows_ * row <= slot_bytes_) {
      columns_step_ = columns_;
      rows_step_ = slot_bytes_ / row / chunk_rows_ * chunk_rows_;
    } else {
      rows_step_ = std::min(chunk_rows_, slot_bytes_ / chunk_column);
      const std::uint64_t chunks = slot_bytes_ / (rows_step_ * chunk_column);
      columns_step_ = std::min(columns_, chunks * dataset.columns_per_chunk_);
    }
  }

  std::uint64_t slot_bytes() const { return slot_bytes_; }

  /// The next piece; one of no rows at the end.
  Piece next() {
    if (next_.first_row == end_) return {end_, 0, 0, 0};
    Piece piece = next_;
    // To the end of a chunk, whatever row the reading began at.
    const std::uint64_t aligned = (piece.first_row + rows_step_) / chunk_rows_ * chunk_rows_;
    const std::uint64_t until = aligned > piece.first_row ? aligned : piece.first_row + rows_step_;
    piece.rows = std::min(until, end_) - piece.first_row;
    piece.columns = std::min(columns_step_, columns_ - piece.first_column);
    next_.first_column += piece.columns;
    if (next_.first_column == columns_) next_ = {piece.first_row + piece.rows, 0, 0, 0};
    return piece;
  }

 private:
  std::uint64_t columns_, chunk_rows_, end_;
  std::uint64_t slot_bytes_ = 0, rows_step_ = 1, columns_step_ = 1;
  Piece next_;
};

void Reader::make_room(std::uint64_t slot_bytes) {
  if (slot_bytes <= slot_bytes_) return;
  if (shared_ != nullptr) ::munmap(std::exchange(shared_, nullptr), 2 * std::exchange(slot_bytes_, 0));
  void* memory = MAP_FAILED;
  if (::ftruncate(memory_.get(), static_cast<::off_t>(2 * slot_bytes)) == 0) {
    memory = ::mmap(nullptr, 2 * slot_bytes, PROT_READ, MAP_SHARED, memory_.get(), 0);
  }
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_ = static_cast<char*>(memory);
  slot_bytes_ = slot_bytes;
}

void Reader::ask_for(const Dataset& dataset, const Piece& piece, std::uint64_t slot) {
  send(begin(Question::read)
           .put(*dataset.number_)
           .put(piece.first_row)
           .put(piece.rows)
           .put(piece.first_column)
           .put(piece.columns)
           .put(2 * slot_bytes_)
           .put(slot * slot_bytes_));
}

void Reader::copy(const Dataset& dataset, const Piece& piece, std::uint64_t slot, const WantedRows& wanted) const {
  const std::uint64_t columns = dataset.extents_.size() > 1 ? dataset.extents_[1] : 1;
  const std::uint64_t row = dataset.row_elements() * size_in_bytes(dataset.element_), column = row / columns;
  const char* from = shared_ + slot * slot_bytes_;
  char* const out = wanted.out + (piece.first_row - wanted.first) * row + piece.first_column * column;
  if (piece.columns == columns) {
    std::memcpy(out, from, piece.rows * row);
    return;
  }
  for (std::uint64_t r = 0; r < piece.rows; ++r) {
    std::memcpy(out + r * row, from + r * piece.columns * column, piece.columns * column);
  }
}

/// Of numbers that the library makes of whatever is stored.
void Reader::read_in_pieces(const Dataset& dataset, const WantedRows& wanted) {
  Pieces pieces(dataset, wanted.first, wanted.count);
  make_room(pieces.slot_bytes());
  const std::uint64_t columns = dataset.extents_.size() > 1 ? dataset.extents_[1] : 1;
  const double stored_per_row = static_cast<double>(dataset.stored_bytes_) / static_cast<double>(dataset.rows());
  Piece in_slot[2];
  const auto ask = [&](std::uint64_t slot) {
    const Piece piece = pieces.next();
    if (piece.rows == 0) return false;
    const double rows = static_cast<double>(piece.rows * piece.columns) / static_cast<double>(columns);
    read_bytes_ += static_cast<std::uint64_t>(stored_per_row * rows);
    ask_for(dataset, piece, slot);
    in_slot[slot] = piece;
    return true;
  };
  in_turn(ask, [&](const Message&, std::uint64_t slot) { copy(dataset, in_slot[slot], slot, wanted); });
}

void Reader::read_rows(const Dataset& dataset, const WantedRows& wanted) {
  if (read_plain(dataset, wanted)) return;
  if (dataset.layout_.readable() && dataset.layout_.largest_stored_bytes() <= largest_piece_bytes) {
    read_in_chunks(dataset, wanted);
  } else {
    read_in_pieces(dataset, wanted);
  }
}

}  // namespace moecarlo::hdf5
