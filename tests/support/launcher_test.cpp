#include "host/support/launcher.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "host/support/descriptor.hpp"
#include "host/support/message.hpp"
#include "host/support/sandbox.hpp"

namespace moecarlo {
namespace {

/// Runs a body and returns the numbers that it sends, and how it ended.
struct Outcome {
  explicit Outcome(launcher::Body body) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const Descriptor ours(ends[0]);
    Descriptor its(ends[1]);
    const Descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const pid_t process = launcher::launch(body, {its.get(), file.get(), file.get()});
    its.reset();
    Message message;
    while (receive(ours.get(), message, 1000)) said.push_back(static_cast<int>(message.take_number()));
    status = launcher::end(process);
  }

  std::vector<int> said;
  int status = 0;
};

void say(int socket, bool yes) {
  send(socket, Message().put(std::uint64_t{yes}));
}

TEST(Launcher, ABodyRunsInAProcessOfItsOwnWithItsDescriptors) {
  const Outcome run([](const launcher::Descriptors& descriptors) {
    char byte = 0;
    say(descriptors[0], ::read(descriptors[1], &byte, 1) == 1 && byte == '\x7f');
  });
  EXPECT_EQ(run.said, std::vector<int>{1});
  EXPECT_TRUE(WIFEXITED(run.status) || WTERMSIG(run.status) == SIGKILL);
}

TEST(Launcher, ACrashIsSeenAndHarmsNobody) {
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Outcome crash([](const launcher::Descriptors&) { std::abort(); });
    EXPECT_TRUE(crash.said.empty());
    EXPECT_TRUE(WIFSIGNALED(crash.status) && WTERMSIG(crash.status) == SIGABRT);
  }
}

TEST(Launcher, SignalsForTheProgramDoNotEndAProcess) {
  const Outcome run([](const launcher::Descriptors& descriptors) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::raise(signal);
    say(descriptors[0], true);
  });
  EXPECT_EQ(run.said, std::vector<int>{1});
}

TEST(Sandbox, TakesMemoryFilesAndTheRestAway) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need what the sandbox takes away";
#endif
  const Outcome run([](const launcher::Descriptors& descriptors) {
    enter_sandbox(std::uint64_t{64} << 20);
    const int socket = descriptors[0];
    say(socket, ::open("/proc/self/status", O_RDONLY) >= 0);                      // one file may be opened
    say(socket, ::open("/proc/self/status", O_RDONLY) >= 0);                      // and no second
    say(socket, ::open("/tmp/moecarlo-sandbox", O_WRONLY | O_CREAT, 0600) >= 0);  // none to write
    say(socket, ::socket(AF_INET, SOCK_STREAM, 0) >= 0);
    say(socket, ::fork() >= 0);
    say(socket, ::kill(::getppid(), 0) == 0);
    void* const some = std::malloc(std::size_t{32} << 20);
    say(socket, some != nullptr);
    say(socket, std::malloc(std::size_t{128} << 20) != nullptr);
  });
  EXPECT_EQ(run.said, (std::vector<int>{1, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_FALSE(std::filesystem::exists("/tmp/moecarlo-sandbox"));
}

TEST(Message, WhatIsNotThereIsNotTaken) {
  Message message = Message(Message().put(std::uint64_t{7}).put("text").bytes());
  EXPECT_EQ(message.take_number(), 7U);
  EXPECT_EQ(message.take_text(), "text");
  EXPECT_THROW(message.take_number(), std::out_of_range);
  Message lying = Message(Message().put(std::uint64_t{1} << 60).bytes());
  EXPECT_THROW(lying.take_text(), std::out_of_range);
}

}  // namespace
}  // namespace moecarlo
