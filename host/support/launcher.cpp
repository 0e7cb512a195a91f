#include "host/support/launcher.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "host/support/descriptor.hpp"
#include "host/support/error.hpp"

namespace moecarlo::launcher {
namespace {

/// What the program asks of the launcher: a process (with descriptors) or the end of one, answered with a number. Or
/// the launcher's own end.
struct Request {
  Body body;  ///< null: end `process`, or all where that is 0
  pid_t process;
};

constexpr std::size_t descriptor_bytes = sizeof(Descriptors);

/// The message of one request, with room for descriptors beside it.
struct Envelope {
  explicit Envelope(Request& request) : content{&request, sizeof request} {
    header.msg_iov = &content;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }

  iovec content;
  alignas(cmsghdr) char control[CMSG_SPACE(descriptor_bytes)] = {};
  msghdr header = {};
};

bool send_request(int socket, Request request, const Descriptors* descriptors) {
  Envelope envelope(request);
  if (descriptors == nullptr) {
    envelope.header.msg_controllen = 0;
  } else {
    cmsghdr* control = CMSG_FIRSTHDR(&envelope.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(descriptor_bytes);
    std::memcpy(CMSG_DATA(control), descriptors->data(), descriptor_bytes);
  }
  return ::sendmsg(socket, &envelope.header, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof request);
}

bool receive_request(int socket, Request& request, Descriptors& descriptors) {
  Envelope envelope(request);
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &envelope.header, 0);
  } while (received < 0 && errno == EINTR);
  if (received != static_cast<ssize_t>(sizeof request)) return false;
  const cmsghdr* control = CMSG_FIRSTHDR(&envelope.header);
  descriptors.fill(-1);
  if (control != nullptr && control->cmsg_len == CMSG_LEN(descriptor_bytes)) {
    std::memcpy(descriptors.data(), CMSG_DATA(control), descriptor_bytes);
  }
  return true;
}

/// Signals that are meant for the program reach its whole process group: it decides what follows, also for its readers.
void leave_signals_to_the_program() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE}) std::signal(signal, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);
}

/// Nothing that a crashing library prints is seen, and no pipe or socket of the program stays open for its sake.
/// Returns the one descriptor that is left beside the standard streams.
int keep_only(int socket) {
  const int kept = ::fcntl(socket, F_DUPFD, 3);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int stream = 0; stream <= 2; ++stream) ::dup2(nothing, stream);
  if (kept > 3) ::close_range(3, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
  return kept;
}

pid_t fork_body(int socket, Body body, const Descriptors& descriptors) {
  const pid_t process = ::fork();
  if (process != 0) return process;
  ::close(socket);
  body(descriptors);
  ::_exit(0);
}

/// Whether a process that was killed is gone. One that waits for storage is not before the storage answers.
bool is_gone(pid_t process) {
  const Descriptor watched(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!watched.valid()) return true;  // an old kernel: then it is waited for, however long it takes
  ::pollfd ended{watched.get(), POLLIN, 0};
  constexpr int patience_ms = 5000;
  return ::poll(&ended, 1, patience_ms) != 0;
}

int end_process(std::vector<pid_t>& processes, pid_t process) {
  const auto found = std::find(processes.begin(), processes.end(), process);
  if (found == processes.end()) return 0;
  processes.erase(found);
  ::kill(process, SIGKILL);
  if (!is_gone(process)) return SIGKILL;
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// The launcher's life. It ends with the program, and takes along what it launched.
[[noreturn]] void serve(int socket) {
  leave_signals_to_the_program();
  socket = keep_only(socket);
  std::vector<pid_t> processes;
  Request request;
  Descriptors descriptors;
  while (receive_request(socket, request, descriptors) && (request.body != nullptr || request.process != 0)) {
    int answer = 0;
    if (request.body != nullptr) {
      answer = fork_body(socket, request.body, descriptors);
      if (answer > 0) processes.push_back(answer);
      for (const int descriptor : descriptors) ::close(descriptor);
    } else {
      answer = end_process(processes, request.process);
    }
    if (::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) < 0) break;
  }
  while (!processes.empty()) end_process(processes, processes.back());
  ::_exit(0);
}

[[noreturn]] void fail_to_start(const char* what) {
  fail(ErrorKind::machine, "cannot start a process that reads files ({}: {})", what, std::strerror(errno));
}

class Launcher {
 public:
  Launcher() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) fail_to_start("socketpair");
    Descriptor ours(ends[0]);
    const Descriptor its(ends[1]);
    process_ = ::fork();
    if (process_ < 0) fail_to_start("fork");
    if (process_ == 0) serve(its.get());
    socket_ = std::move(ours);
  }

  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// That the launcher is waited for makes what its processes took part of what the program took, for whoever measures
  /// that. A fork of the program leaves it alone.
  ~Launcher() {
    if (owner_ != ::getpid() || !send_request(socket_.get(), {nullptr, 0}, nullptr)) return;
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  int ask(const Request& request, const Descriptors* descriptors) {
    const std::lock_guard lock(mutex_);
    int answer = -1;
    if (!send_request(socket_.get(), request, descriptors) || ::recv(socket_.get(), &answer, sizeof answer, 0) < 0) {
      fail_to_start("launcher");
    }
    return answer;
  }

 private:
  std::mutex mutex_;
  Descriptor socket_;
  pid_t owner_ = ::getpid(), process_ = -1;
};

Launcher& the_launcher() {
  static Launcher launcher;
  return launcher;
}

}  // namespace

void start() {
  the_launcher();
}

pid_t launch(Body body, const Descriptors& descriptors) {
  const int process = the_launcher().ask({body, 0}, &descriptors);
  if (process <= 0) fail(ErrorKind::machine, "cannot start a process that reads files (fork failed)");
  return process;
}

int end(pid_t process) {
  return the_launcher().ask({nullptr, process}, nullptr);
}

}  // namespace moecarlo::launcher
