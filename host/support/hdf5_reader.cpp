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
#include <stdexcept>
#include <utility>

namespace moecarlo::hdf5 {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr nanoseconds time_for_any_file = 3s;
constexpr nanoseconds a_sign_of_life = 1ms;  ///< of processor time
constexpr double bytes_per_second = 50e6;

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
    if (answer.take_number() != 0) found.layout_ = take_layout(answer, found);
    return found;
  });
  dataset.reader_ = shared_from_this();
  dataset.name_ = std::move(name);
  // What is allocated for it follows from its extents: they are checked once more where the memory is.
  std::uint64_t room = largest_expansion * file_bytes_ / size_in_bytes(dataset.element_);
  for (const std::uint64_t extent : dataset.extents_) room = extent == 0 ? room : room / extent;
  if (room == 0) refuse_ended();
  return dataset;
}

}  // namespace moecarlo::hdf5
