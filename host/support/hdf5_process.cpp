#include "host/support/hdf5_process.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <exception>
#include <map>
#include <new>
#include <stdexcept>
#include <utility>

#include "host/support/error.hpp"
#include "host/support/hdf5_detail.hpp"
#include "host/support/hdf5_stored.hpp"
#include "host/support/message.hpp"
#include "host/support/sandbox.hpp"

namespace moecarlo::hdf5 {
namespace {

/// Groups or datasets by the numbers that the program knows them by.
template <class T>
class Numbered {
 public:
  std::uint64_t add(T value) {
    values_.emplace(next_, std::move(value));
    return next_++;
  }
  const T& at(std::uint64_t number) const { return values_.at(number); }
  void erase(std::uint64_t number) { values_.erase(number); }

 private:
  std::map<std::uint64_t, T> values_;
  std::uint64_t next_ = 0;
};

/// The memory that the program reads pieces from. It grows when the program has made it grow.
class SharedMemory {
 public:
  explicit SharedMemory(int descriptor) : descriptor_(descriptor) {}

  char* at(std::uint64_t size, std::uint64_t first, std::uint64_t bytes) {
    if (size > 2 * largest_piece_bytes || first > size || bytes > size - first) throw std::out_of_range("memory");
    if (size > size_) {
      if (size_ > 0) ::munmap(memory_, size_);
      memory_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
      if (memory_ == MAP_FAILED) throw std::bad_alloc();
      size_ = size;
    }
    return static_cast<char*>(memory_) + first;
  }

 private:
  int descriptor_;
  void* memory_ = nullptr;
  std::uint64_t size_ = 0;
};

void put_texts(Message& answer, const std::vector<std::string>& texts) {
  answer.put(texts.size());
  for (const std::string& text : texts) answer.put(text);
}

class Answers {
 public:
  Answers(int file, int memory) : file_(file), memory_(memory) {}

  Message to(Message question) {
    const auto what = static_cast<Question>(question.take_number());
    for (std::uint64_t closed = question.take_number(); closed > 0; --closed) groups_.erase(question.take_number());
    for (std::uint64_t closed = question.take_number(); closed > 0; --closed) datasets_.erase(question.take_number());
    Message answer;
    answer.put(std::uint64_t{1});
    if (what == Question::open) {
      groups_.add(stored::Group::open_file(file_, question.take_text()));
    } else if (what == Question::read) {
      read(question);
    } else if (what == Question::read_chunks) {
      read_chunks(question, answer);
    } else {
      const stored::Group& group = groups_.at(question.take_number());
      const std::string name = names_something(what) ? question.take_text() : std::string();
      ask(what, group, name, answer);
    }
    return answer;
  }

 private:
  void ask(Question what, const stored::Group& group, const std::string& name, Message& answer) {
    switch (what) {
      case Question::has:
        answer.put(std::uint64_t{group.has(name)});
        break;
      case Question::members:
        put_texts(answer, group.members());
        break;
      case Question::attributes:
        put_texts(answer, group.attributes());
        break;
      case Question::open_group:
        answer.put(groups_.add(group.open_group(name)));
        break;
      case Question::open_dataset:
        put_dataset(answer, group.open_dataset(name));
        break;
      case Question::read_strings:
        put_texts(answer, group.read_strings(name));
        break;
      case Question::has_attribute:
        answer.put(std::uint64_t{group.has_attribute(name)});
        break;
      case Question::read_string:
        answer.put(group.read_string(name));
        break;
      case Question::read_integer:
        answer.put(static_cast<std::uint64_t>(group.read_integer(name)));
        break;
      case Question::read_floats: {
        const std::vector<float> values = group.read_floats(name);
        answer.put(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
        break;
      }
      case Question::open:
      case Question::read:
      case Question::read_chunks:
        throw std::out_of_range("question");
    }
  }

  void put_dataset(Message& answer, stored::Dataset dataset) {
    const auto& extents = dataset.extents();
    const stored::Block whole{0, extents.empty() ? 1 : extents[0], 0, extents.size() > 1 ? extents[1] : 1};
    std::string data;
    if (const std::uint64_t bytes = dataset.bytes_of(whole); bytes <= small_dataset_bytes) {
      data.resize(bytes);
      dataset.read(whole, data.data());
    }
    const std::uint64_t rows = dataset.rows_per_chunk(), columns = dataset.columns_per_chunk();
    const std::uint64_t offset = dataset.plain_offset().value_or(nowhere);
    const std::uint64_t stored = dataset.stored_bytes(), element = static_cast<std::uint64_t>(dataset.element());
    const std::vector<std::uint64_t> sizes = extents;
    const ChunkLayout layout = dataset.chunk_layout();
    answer.put(datasets_.add(std::move(dataset)))
        .put(element)
        .put(rows)
        .put(columns)
        .put(stored)
        .put(offset)
        .put(sizes.size());
    for (const std::uint64_t size : sizes) answer.put(size);
    answer.put(data).put(std::uint64_t{layout.readable()});
    if (!layout.readable()) return;
    for (const std::uint64_t size : layout.chunk) answer.put(size);
    answer.put(layout.filters.size());
    for (const ChunkFilter filter : layout.filters) answer.put(static_cast<std::uint64_t>(filter));
  }

  void read(Message& question) {
    const stored::Dataset& dataset = datasets_.at(question.take_number());
    const std::uint64_t first_row = question.take_number(), rows = question.take_number();
    const std::uint64_t first_column = question.take_number(), columns = question.take_number();
    const stored::Block block{first_row, rows, first_column, columns};
    const std::uint64_t size = question.take_number(), first = question.take_number();
    dataset.read(block, memory_.at(size, first, dataset.bytes_of(block)));
  }

  void read_chunks(Message& question, Message& answer) {
    const stored::Dataset& dataset = datasets_.at(question.take_number());
    const std::uint64_t first = question.take_number(), count = question.take_number();
    const std::uint64_t size = question.take_number(), at = question.take_number(), bytes = question.take_number();
    const std::span<std::byte> out(reinterpret_cast<std::byte*>(memory_.at(size, at, bytes)), bytes);
    for (const StoredChunk& chunk : dataset.read_chunks(first, count, out)) {
      answer.put(chunk.bytes.size()).put(chunk.left_out);
    }
  }

  int file_;
  SharedMemory memory_;
  Numbered<stored::Group> groups_;
  Numbered<stored::Dataset> datasets_;
};

Message refusal(const std::string& why) {
  Message answer;
  answer.put(std::uint64_t{0}).put(why);
  return answer;
}

Message answered(Answers& answers, Message question) {
  try {
    return answers.to(std::move(question));
  } catch (const Error& error) {
    return refusal(error.what());
  } catch (const std::bad_alloc&) {
    return refusal("");
  }
}

/// What reading takes beside the shared memory: buffers of the filters and the cache for a chunk, and the library's
/// own.
std::uint64_t memory_limit(int file) {
  struct stat status = {};
  ::fstat(file, &status);
  return (std::uint64_t{128} << 20) + 4 * largest_chunk_bytes(static_cast<std::uint64_t>(status.st_size)) +
         2 * largest_piece_bytes;
}

}  // namespace

void answer_questions(const launcher::Descriptors& descriptors) {
  const auto [socket, file, memory] = descriptors;
  // Buffers of the filters come and go with every chunk: the kernel would take each back, and clear it for the next.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  H5open();
  detail::prepare_thread();
  enter_sandbox(memory_limit(file));
  Answers answers(file, memory);
  Message question;
  try {
    while (receive(socket, question, largest_message_bytes) && send(socket, answered(answers, std::move(question)))) {
    }
  } catch (const std::exception&) {
    // The socket closes with the process, which says enough.
  }
}

}  // namespace moecarlo::hdf5
