#include "host/support/hdf5_reader.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <utility>

#include "host/support/parallel.hpp"

namespace moecarlo::hdf5 {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr nanoseconds time_for_any_file = 3s;
constexpr nanoseconds a_sign_of_life = 1ms;  ///< of processor time
constexpr double bytes_per_second = 50e6;
constexpr std::uint64_t usual_slot_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t large_dataset_bytes = std::uint64_t{64} << 20;  ///< whose reading is worth more processes
constexpr std::uint64_t memory_for_slots = std::uint64_t{192} << 20;

Descriptor open_plain_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  // Without waiting: what looks like a file may be a pipe that nobody writes to.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    const int why = errno;
    if (why == ENOENT) fail(ErrorKind::input, "{}: no such file", name);
    fail(ErrorKind::input, "{}: cannot be opened ({})", name, std::strerror(why));
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) fail(ErrorKind::input, "{}: not a file", name);
  return file;
}

std::uint64_t size_of(const Descriptor& file) {
  struct stat status = {};
  ::fstat(file.get(), &status);
  return static_cast<std::uint64_t>(status.st_size);
}

Descriptor shared_memory() {
  Descriptor memory(::memfd_create("moecarlo", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // It grows only: nobody can take from under the program what it is reading.
  if (!memory.valid() || ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    fail(ErrorKind::machine, "no shared memory to read files with ({})", std::strerror(errno));
  }
  return memory;
}

}  // namespace

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

/// A process that reads pieces of a dataset, and what it calls that. It answers in turn; a piece goes into one of its
/// two slots while the other is copied.
struct Reader::Lane {
  Reader* reader;
  const Dataset* dataset;
};

Reader::Reader(const std::filesystem::path& path, std::chrono::milliseconds longest_silence)
    : Reader(path.string(), open_plain_file(path), longest_silence) {}

Reader::Reader(std::string name, Descriptor file, std::chrono::milliseconds longest_silence)
    : name_(std::move(name)), longest_silence_(longest_silence), file_(std::move(file)) {
  file_bytes_ = size_of(file_);
  memory_ = shared_memory();
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    fail(ErrorKind::machine, "no socket to read files with ({})", std::strerror(errno));
  }
  socket_ = Descriptor(ends[0]);
  Descriptor its(ends[1]);
  process_ = launcher::launch(answer_questions, {its.get(), file_.get(), memory_.get()});
  its.reset();  // that the process ends shows only where nobody else holds its end
  send(begin(Question::open).put(name_));
  answer();
}

Reader::~Reader() {
  if (shared_ != nullptr) ::munmap(shared_, 2 * slot_bytes_);
  try {
    if (process_ > 0) launcher::end(process_);
  } catch (const Error&) {  // the launcher is gone, and with it what it launched
  }
}

Message Reader::begin(Question question) {
  Message message;
  message.put(static_cast<std::uint64_t>(question));
  for (std::vector<std::uint64_t>* closed : {&closed_groups_, &closed_datasets_}) {
    message.put(closed->size());
    for (const std::uint64_t number : *closed) message.put(number);
    closed->clear();
  }
  return message;
}

void Reader::send(const Message& question) {
  if (process_ < 0 || !moecarlo::send(socket_.get(), question)) refuse_ended();
}

Message Reader::answer() {
  wait_for_answer();
  Message message;
  if (!receive(socket_.get(), message, largest_message_bytes)) refuse_ended();
  try {
    if (message.take_number() == 1) return message;
    const std::string why = message.take_text();
    if (why.empty()) refuse("takes too much memory to read");
    fail(ErrorKind::input, "{}", why);
  } catch (const std::out_of_range&) {
    refuse_ended();
  }
}

/// So that the next question gets its own answer.
void Reader::skip_answer() {
  try {
    if (process_ > 0) answer();
  } catch (const Error&) {  // the one that is under way says what is wrong
  }
}

nanoseconds Reader::allowed_time() const {
  const double bytes = static_cast<double>(std::max(file_bytes_, read_bytes_));
  return time_for_any_file + nanoseconds(static_cast<std::int64_t>(bytes / bytes_per_second * 1e9));
}

nanoseconds Reader::used_time() const {
  ::clockid_t clock = 0;
  ::timespec used = {};
  if (::clock_getcpuclockid(process_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return nanoseconds(0);
  return std::chrono::seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

void Reader::wait_for_answer() {
  ::pollfd waiting{socket_.get(), POLLIN, 0};
  // Most answers are there at once. A process has one thread, and cannot use more processor time than goes by. Silence
  // is what was waited for here: a program that was stopped and goes on has not waited.
  nanoseconds silent(0), computed(0);
  for (std::chrono::milliseconds wait = std::min(100ms, longest_silence_);;) {
    const int ready = ::poll(&waiting, 1, static_cast<int>(wait.count()));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) refuse_ended();
    const nanoseconds used = used_time(), left = allowed_time() - used;
    if (left <= nanoseconds(0)) {
      refuse(fmt::format("takes too long to read (more than {:.1f} s of processor time for {} bytes)",
                         std::chrono::duration<double>(allowed_time()).count(), file_bytes_));
    }
    if (used >= computed + a_sign_of_life) {
      silent = nanoseconds(0);
      computed = used;
    } else if (ready == 0) {
      silent += wait;
    }
    if (silent >= longest_silence_) {
      refuse(fmt::format("takes too long to read (nothing came for {:.1f} s)",
                         std::chrono::duration<double>(longest_silence_).count()));
    }
    wait = std::min({std::chrono::ceil<std::chrono::milliseconds>(left), longest_silence_, 1000ms});
  }
}

void Reader::refuse(const std::string& why) {
  socket_.reset();
  if (process_ > 0) launcher::end(std::exchange(process_, -1));
  fail(ErrorKind::input, "{}: {}", name_, why);
}

void Reader::refuse_ended() {
  socket_.reset();
  const int status = process_ > 0 ? launcher::end(std::exchange(process_, -1)) : 0;
  const bool crashed = WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
  refuse(crashed ? fmt::format("damaged HDF5 file (the HDF5 library crashes on it: {})", ::strsignal(WTERMSIG(status)))
                 : "damaged HDF5 file (the HDF5 library gives up on it)");
}

Message Reader::ask(Question question, std::uint64_t group, std::string_view member) {
  Message message = begin(question);
  message.put(group);
  if (names_something(question)) message.put(member);
  send(message);
  return answer();
}

/// What `take` takes from an answer. One that is too short is no answer of ours: the process has been led astray.
template <class Take>
auto Reader::taken(Message message, const Take& take) {
  try {
    return take(message);
  } catch (const std::out_of_range&) {
    refuse_ended();
  }
}

std::uint64_t Reader::ask_number(Question question, std::uint64_t group, std::string_view member) {
  return taken(ask(question, group, member), [](Message& answer) { return answer.take_number(); });
}

std::string Reader::ask_text(Question question, std::uint64_t group, std::string_view member) {
  return taken(ask(question, group, member), [](Message& answer) { return answer.take_text(); });
}

std::vector<std::string> Reader::ask_texts(Question question, std::uint64_t group, std::string_view member) {
  return taken(ask(question, group, member), [](Message& answer) {
    std::vector<std::string> texts;
    for (std::uint64_t left = answer.take_number(); left > 0; --left) texts.push_back(answer.take_text());
    return texts;
  });
}

std::shared_ptr<const std::uint64_t> Reader::group_number(std::uint64_t number) {
  const auto close = [reader = shared_from_this()](const std::uint64_t* closed) {
    if (*closed != 0) reader->closed_groups_.push_back(*closed);  // the root stays open
    delete closed;
  };
  return {new std::uint64_t(number), close};
}

std::shared_ptr<const std::uint64_t> Reader::dataset_number(std::uint64_t number) {
  const auto close = [reader = shared_from_this()](const std::uint64_t* closed) {
    reader->copies_.erase(*closed);
    reader->root_members_.erase(*closed);
    reader->closed_datasets_.push_back(*closed);
    delete closed;
  };
  return {new std::uint64_t(number), close};
}

Dataset Reader::open_dataset(std::uint64_t group, const std::string& member, std::string name) {
  Dataset dataset = taken(ask(Question::open_dataset, group, member), [&](Message& answer) {
    Dataset found;
    found.number_ = dataset_number(answer.take_number());
    found.element_ = static_cast<Element>(std::min<std::uint64_t>(answer.take_number(), 10));
    found.rows_per_chunk_ = std::max<std::uint64_t>(1, answer.take_number());
    found.columns_per_chunk_ = std::max<std::uint64_t>(1, answer.take_number());
    found.stored_bytes_ = answer.take_number();
    found.offset_ = answer.take_number();
    found.extents_.resize(std::min<std::uint64_t>(answer.take_number(), 32));
    for (std::uint64_t& extent : found.extents_) extent = answer.take_number();
    found.data_ = answer.take_text();
    return found;
  });
  dataset.reader_ = shared_from_this();
  dataset.name_ = std::move(name);
  if (group == 0) root_members_[*dataset.number_] = member;
  // What is allocated for it follows from its extents: they are checked once more where the memory is.
  std::uint64_t room = largest_expansion * file_bytes_ / size_in_bytes(dataset.element_);
  for (const std::uint64_t extent : dataset.extents_) room = extent == 0 ? room : room / extent;
  if (room == 0) refuse_ended();
  return dataset;
}

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

void Reader::copy(const Dataset& dataset, const Piece& piece, std::uint64_t slot, std::uint64_t first,
                  char* out) const {
  const std::uint64_t columns = dataset.extents_.size() > 1 ? dataset.extents_[1] : 1;
  const std::uint64_t row = dataset.row_elements() * size_in_bytes(dataset.element_), column = row / columns;
  const char* from = shared_ + slot * slot_bytes_;
  out += (piece.first_row - first) * row + piece.first_column * column;
  if (piece.columns == columns) {
    std::memcpy(out, from, piece.rows * row);
    return;
  }
  for (std::uint64_t r = 0; r < piece.rows; ++r) {
    std::memcpy(out + r * row, from + r * piece.columns * column, piece.columns * column);
  }
}

/// Data in one piece, in the form of this machine, need no library: whatever bytes stand there are numbers.
bool Reader::read_plain(const Dataset& dataset, std::uint64_t first, std::uint64_t count, char* out) const {
  const std::uint64_t row = dataset.row_elements() * size_in_bytes(dataset.element_), bytes = dataset.rows() * row;
  if (bytes > file_bytes_ || dataset.offset_ > file_bytes_ - bytes) return false;
  std::uint64_t at = dataset.offset_ + first * row;
  for (std::uint64_t left = count * row; left > 0;) {
    const ::ssize_t got = ::pread(file_.get(), out, left, static_cast<::off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    at += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
  }
  return true;
}

/// This process, and of a large dataset others: one a core, as far as there is memory for their slots.
std::vector<Reader::Lane> Reader::lanes_for(const Dataset& dataset, const Pieces& pieces) {
  std::vector<Lane> lanes{{this, &dataset}};
  const std::uint64_t bytes = dataset.rows() * dataset.row_elements() * size_in_bytes(dataset.element_);
  const auto member = root_members_.find(*dataset.number_);
  if (member == root_members_.end() || bytes < large_dataset_bytes) return lanes;
  const std::uint64_t most = std::min<std::uint64_t>(thread_count(0), memory_for_slots / (2 * pieces.slot_bytes()));
  std::vector<Dataset>& copies = copies_[*dataset.number_];
  for (std::uint64_t lane = 1; lane < most; ++lane) {
    if (helpers_.size() < lane) {
      Descriptor file(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
      helpers_.push_back(std::shared_ptr<Reader>(new Reader(name_, std::move(file), longest_silence_)));
    }
    if (copies.size() < lane) {
      copies.push_back(helpers_[lane - 1]->open_dataset(0, member->second, dataset.name_));
      if (copies.back().extents_ != dataset.extents_ || copies.back().element_ != dataset.element_) refuse_ended();
    }
  }
  for (std::uint64_t lane = 1; lane < most; ++lane) lanes.push_back({helpers_[lane - 1].get(), &copies[lane - 1]});
  return lanes;
}

// Pieces are dealt out to the processes in turn, two to each, and copied in the same order.
void Reader::read_rows(const Dataset& dataset, std::uint64_t first, std::uint64_t count, char* out) {
  if (read_plain(dataset, first, count, out)) return;
  Pieces pieces(dataset, first, count);
  const std::vector<Lane> lanes = lanes_for(dataset, pieces);
  for (const Lane& lane : lanes) lane.reader->make_room(pieces.slot_bytes());
  const std::uint64_t columns = dataset.extents_.size() > 1 ? dataset.extents_[1] : 1;
  const double stored_per_row = static_cast<double>(dataset.stored_bytes_) / static_cast<double>(dataset.rows());
  std::deque<Piece> under_way;
  std::uint64_t asked = 0, answered = 0;
  const auto lane_of = [&](std::uint64_t number) { return lanes[number % lanes.size()]; };
  const auto slot_of = [&](std::uint64_t number) { return number / lanes.size() % 2; };
  const auto ask_next = [&] {
    const Piece piece = pieces.next();
    if (piece.rows == 0) return;
    const Lane lane = lane_of(asked);
    const double rows = static_cast<double>(piece.rows * piece.columns) / static_cast<double>(columns);
    lane.reader->read_bytes_ += static_cast<std::uint64_t>(stored_per_row * rows);
    lane.reader->ask_for(*lane.dataset, piece, slot_of(asked++));
    under_way.push_back(piece);
  };
  for (std::size_t i = 0; i < 2 * lanes.size(); ++i) ask_next();
  for (; !under_way.empty(); ++answered, under_way.pop_front()) {
    const Reader& reader = *lane_of(answered).reader;
    try {
      lane_of(answered).reader->answer();
    } catch (const Error&) {
      while (++answered < asked) lane_of(answered).reader->skip_answer();
      throw;
    }
    reader.copy(dataset, under_way.front(), slot_of(answered), first, out);
    ask_next();
  }
}

}  // namespace moecarlo::hdf5
