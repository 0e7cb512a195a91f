#include "host/support/sandbox.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

namespace moecarlo {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||
                           __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer);
#else
constexpr bool sanitized = false;
#endif

void limit(__rlimit_resource resource, std::uint64_t most) {
  const rlimit limits{most, most};
  ::setrlimit(resource, &limits);
}

std::uint64_t address_space_bytes() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return std::uint64_t{pages} * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void limit_files() {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  const int next = ::dup(STDIN_FILENO);
  ::close(next);
  if (next >= 0) limit(RLIMIT_NOFILE, static_cast<std::uint64_t>(next) + 1);
}

#if defined(__x86_64__)
constexpr std::uint32_t this_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t this_architecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t this_architecture = 0;
#endif

/// What the HDF5 library, the C library's memory and our sockets call. Opening is for reading only, memory never holds
/// code.
constexpr long allowed_calls[] = {
    SYS_read,           SYS_pread64,      SYS_readv,       SYS_lseek,           SYS_close,
    SYS_fstat,          SYS_newfstatat,   SYS_statx,       SYS_recvfrom,        SYS_recvmsg,
    SYS_sendto,         SYS_sendmsg,      SYS_brk,         SYS_munmap,          SYS_mremap,
    SYS_madvise,        SYS_futex,        SYS_sched_yield, SYS_getpid,          SYS_gettid,
    SYS_clock_gettime,  SYS_gettimeofday, SYS_getrandom,   SYS_getcwd,          SYS_readlinkat,
    SYS_faccessat,      SYS_exit,         SYS_exit_group,  SYS_restart_syscall, SYS_rt_sigreturn,
    SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_getrusage,
#if defined(__x86_64__)
    SYS_stat,           SYS_lstat,        SYS_readlink,    SYS_access,          SYS_time,
#endif
};

/// The filter's program: system calls are numbers, and a few have an argument that is looked at.
class CallFilter {
 public:
  CallFilter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, this_architecture, 1, 0));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    load(offsetof(seccomp_data, nr));
    for (const long call : allowed_calls) allow(call);
    allow_without(SYS_mmap, 2, PROT_EXEC);
    allow_without(SYS_mprotect, 2, PROT_EXEC);
    allow_without(SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
#if defined(__x86_64__)
    allow_without(SYS_open, 1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
#endif
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }

  void install() {
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    // A kernel without the filter refuses it; the limits hold all the same.
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  }

 private:
  void add(sock_filter step) {
    code_.push_back(step);
  }
  void load(std::size_t offset) {
    add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }

  void allow(long call) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }

  /// Allowed where the argument has none of these bits.
  void allow_without(long call, std::size_t argument, int bits) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 4));
    load(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t));  // the low half, on little-endian machines
    add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, static_cast<std::uint32_t>(bits), 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }

  std::vector<sock_filter> code_;
};

}  // namespace

void enter_sandbox(std::uint64_t memory_bytes) {
  if (sanitized) return;  // sanitizers need address space, and pipes to see whether memory is theirs
  limit_files();
  if (const std::uint64_t now = address_space_bytes(); now > 0) limit(RLIMIT_AS, now + memory_bytes);
  if (this_architecture != 0) CallFilter().install();
}

}  // namespace moecarlo
