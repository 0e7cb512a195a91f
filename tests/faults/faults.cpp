// What can go wrong around a program, on demand: preloaded into it, this library counts what it does to the files of
// one folder, and lets something happen at the n-th time. Clocks can be moved, too. In its environment:
//
//   FAULT_FOLDER  whose files are watched: those whose path begins with it
//   FAULT         full      from the n-th change on there is no space: a first write is cut in half
//                 readonly  from the n-th change on every one is refused
//                 vanish    the folder and all in it are gone before the n-th change
//                 kill      the process is killed before the n-th change
//                 term      the process is sent SIGTERM before the n-th change
//   FAULT_AT      n, from 1 on
//   FAULT_COUNT   a file to which the number of changes is written at the end
//   CLOCK_BACK    the wall clock goes back by so many seconds whenever it is read
//   CLOCK_SPEED   the monotonic clock goes so many times faster

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

enum class Change { make, write, sync, move, remove };

std::string folder, fault, count_file;
long first_fault = 0, clock_back = 0;
double clock_speed = 1;
std::atomic<long> changes{0}, wall_reads{0};
std::atomic<bool> watches{false};
constexpr int kMostFiles = 4096;
bool is_watched[kMostFiles];

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string variable(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr ? "" : value;
}

bool is_inside(const char* path) {
  return watches && path != nullptr && std::strncmp(path, folder.c_str(), folder.size()) == 0;
}

bool is_inside(int file) {
  return watches && file >= 0 && file < kMostFiles && is_watched[file];
}

int remove_one(const char* path, const struct stat* /*status*/, int /*type*/, FTW* /*place*/) {
  return next<int(const char*)>("remove")(path);
}

/// Counts a change; the error it ends with, or 0.
int happens(Change change) {
  const long number = ++changes;
  if (first_fault == 0 || number < first_fault) return 0;
  if (fault == "full" && change != Change::move && change != Change::remove) return ENOSPC;
  if (fault == "readonly") return EROFS;
  if (number > first_fault) return 0;
  if (fault == "kill") kill(getpid(), SIGKILL);
  if (fault == "term") kill(getpid(), SIGTERM);
  if (fault == "vanish") {
    watches = false;
    nftw(folder.c_str(), remove_one, 16, FTW_DEPTH | FTW_PHYS);
  }
  return 0;
}

int failed(int error) {
  errno = error;
  return -1;
}

int note(int file, bool watched) {
  if (file >= 0 && file < kMostFiles) is_watched[file] = watched;
  return file;
}

int open_as(const char* name, const char* path, int flags, mode_t mode) {
  const bool changes_it = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
  if (is_inside(path) && (flags & O_CREAT) != 0) {
    if (const int error = happens(Change::make)) return failed(error);
  }
  return note(next<int(const char*, int, ...)>(name)(path, flags, mode), is_inside(path) && changes_it);
}

/// What is left of a write: all, half of the first one that fails, or an error.
template <class Write>
ssize_t written(int file, size_t bytes, const Write& write) {
  const long before = changes;
  const int error = is_inside(file) ? happens(Change::write) : 0;
  if (error == 0) return write(bytes);
  if (error == ENOSPC && before + 1 == first_fault && bytes > 1) return write(bytes / 2);
  return failed(error);
}

struct Start {
  Start() {
    folder = variable("FAULT_FOLDER");
    fault = variable("FAULT");
    count_file = variable("FAULT_COUNT");
    first_fault = std::atol(variable("FAULT_AT").c_str());
    clock_back = std::atol(variable("CLOCK_BACK").c_str());
    if (const std::string speed = variable("CLOCK_SPEED"); !speed.empty()) clock_speed = std::atof(speed.c_str());
    watches = !folder.empty();
    pthread_atfork(nullptr, nullptr, [] { watches = false; });  // processes that only read
    owner = getpid();
  }
  ~Start() {
    watches = false;
    if (count_file.empty() || getpid() != owner) return;
    if (FILE* const file = std::fopen(count_file.c_str(), "w")) {
      std::fprintf(file, "%ld\n", changes.load());
      std::fclose(file);
    }
  }
  pid_t owner;
} start;

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_as("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_as("open64", path, flags, mode);
}

int close(int file) {
  note(file, false);
  return next<int(int)>("close")(file);
}

ssize_t write(int file, const void* data, size_t bytes) {
  return written(file, bytes,
                 [&](size_t part) { return next<ssize_t(int, const void*, size_t)>("write")(file, data, part); });
}

ssize_t pwrite(int file, const void* data, size_t bytes, off_t place) {
  return written(file, bytes, [&](size_t part) {
    return next<ssize_t(int, const void*, size_t, off_t)>("pwrite")(file, data, part, place);
  });
}

ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t place) {
  return written(file, bytes, [&](size_t part) {
    return next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64")(file, data, part, place);
  });
}

int fsync(int file) {
  const int error = is_inside(file) ? happens(Change::sync) : 0;
  return error != 0 ? failed(error) : next<int(int)>("fsync")(file);
}

int rename(const char* from, const char* to) noexcept {
  const int error = is_inside(to) ? happens(Change::move) : 0;
  return error != 0 ? failed(error) : next<int(const char*, const char*)>("rename")(from, to);
}

int link(const char* from, const char* to) noexcept {
  const int error = is_inside(to) ? happens(Change::make) : 0;
  return error != 0 ? failed(error) : next<int(const char*, const char*)>("link")(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  const int error = is_inside(path) ? happens(Change::make) : 0;
  return error != 0 ? failed(error) : next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int unlink(const char* path) noexcept {
  const int error = is_inside(path) ? happens(Change::remove) : 0;
  return error != 0 ? failed(error) : next<int(const char*)>("unlink")(path);
}

int remove(const char* path) noexcept {
  const int error = is_inside(path) ? happens(Change::remove) : 0;
  return error != 0 ? failed(error) : next<int(const char*)>("remove")(path);
}

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static const auto real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int status = real(clock, now);
  if (clock == CLOCK_REALTIME && clock_back != 0) now->tv_sec -= clock_back * ++wall_reads;
  if (clock == CLOCK_MONOTONIC && clock_speed != 1) {
    const double seconds = clock_speed * (static_cast<double>(now->tv_sec) + 1e-9 * static_cast<double>(now->tv_nsec));
    now->tv_sec = static_cast<time_t>(seconds);
    now->tv_nsec = static_cast<long>(1e9 * (seconds - static_cast<double>(now->tv_sec)));
  }
  return status;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  const int status = next<int(timeval*, void*)>("gettimeofday")(now, zone);
  if (clock_back != 0) now->tv_sec -= clock_back * ++wall_reads;
  return status;
}

time_t time(time_t* to) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}
}
