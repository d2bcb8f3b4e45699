#include "actnet/net/threads.hpp"

#include "actnet/net/error.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace actnet::net {

namespace {

class kernel_thread final : public running_thread {
 public:
  explicit kernel_thread(std::thread begun) : thread_(std::move(begun)) {}
  ~kernel_thread() override {
    if (thread_.joinable())
      thread_.detach();
  }
  void join() override { thread_.join(); }

 private:
  std::thread thread_;
};

/// Of a thread that was made here: the signals that its maker had blocked. What it forks has them too, instead of all
/// (pthread_atfork(3)): a program that is executed there would be deaf to SIGTERM.
thread_local const sigset_t* makers_mask = nullptr;

void give_children_the_makers_mask() {
  [[maybe_unused]] static const int once = pthread_atfork(nullptr, nullptr, [] {
    if (makers_mask)
      pthread_sigmask(SIG_SETMASK, makers_mask, nullptr);
  });
}

/// What a new thread inherits.
class blocked_signals {
 public:
  blocked_signals() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (const auto raised : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      sigdelset(&all, raised);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~blocked_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;

  const sigset_t& before() const noexcept { return before_; }

 private:
  sigset_t before_;
};

/// A thread that has been joined still counts for a moment. The limits let go of it before /proc does.
void await_uncounted(const std::vector<pid_t>& gone) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  for (const auto each : gone) {
    const auto path = "/proc/self/task/" + std::to_string(each);
    while (::access(path.c_str(), F_OK) == 0 && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
  }
}

} // namespace

// Never destroyed: threads may be made until the process is gone.
std::atomic<thread_factory*> replaced_thread_factory::in_force_{new thread_factory};

replaced_thread_factory::replaced_thread_factory(thread_factory& factory) noexcept
    : before_(in_force_.exchange(&factory)) {}

replaced_thread_factory::~replaced_thread_factory() {
  in_force_.store(before_);
}

result<std::unique_ptr<running_thread>> thread_factory::start(const std::string& name, std::function<void()> work) {
  try {
    give_children_the_makers_mask();
    const blocked_signals inherited;
    return std::unique_ptr<running_thread>{new kernel_thread{
        std::thread{[short_name = name.substr(0, 15), work = std::move(work), mask = inherited.before()] {
          pthread_setname_np(pthread_self(), short_name.c_str());
          makers_mask = &mask;
          work();
        }}}};
  } catch (const std::system_error& refused) {
    return failure{
        make_error_code(refused.code().value() == EAGAIN ? errc::no_thread : from_errno(refused.code().value()))};
  } catch (const std::bad_alloc&) {
    return failure{make_error_code(errc::out_of_memory)};
  }
}

result<void> prove_threads(std::size_t count) {
  std::mutex mutex;
  std::condition_variable changed;
  bool all_tried = false;
  std::vector<pid_t> ids;
  std::vector<std::unique_ptr<running_thread>> begun;
  result<void> outcome;
  ids.reserve(count);
  begun.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto one = threads().start("actnet.proof", [&] {
      std::unique_lock lock(mutex);
      ids.push_back(::gettid());
      changed.wait(lock, [&] { return all_tried; });
    });
    if (!one) {
      outcome = failure{one.error()};
      break;
    }
    begun.push_back(std::move(*one));
  }
  {
    const std::lock_guard lock(mutex);
    all_tried = true;
  }
  changed.notify_all();
  for (const auto& each : begun)
    each->join();
  await_uncounted(ids);
  return outcome;
}

} // namespace actnet::net
