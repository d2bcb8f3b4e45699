// The one place where the library makes threads: named, deaf to signals, and an error value when there is none to be
// had.
#pragma once

#include "actnet/net/result.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace actnet::net {

/// A thread that has begun. Dropped without having been joined, it goes on by itself.
class running_thread {
 public:
  virtual ~running_thread() = default;

  /// Waits for its end. Once, by any thread but itself.
  virtual void join() = 0;
};

/// Makes the threads of the library. Tests put one in its place that refuses, or that makes none.
class thread_factory {
 public:
  virtual ~thread_factory() = default;

  /// Runs `work`, which must not throw, in a thread called `name` (the first 15 bytes of it, pthread_setname_np(3)).
  /// All signals are blocked in it, so that they reach the program's own threads; not those that a fault raises, and
  /// not SIGPROF, by which profilers see it. A child of fork(2) gets back what the calling thread hears. Errors:
  /// `no_thread` (a limit of threads is reached: RLIMIT_NPROC, pids.max) and `out_of_memory`. Any thread.
  virtual result<std::unique_ptr<running_thread>> start(const std::string& name, std::function<void()> work);
};

/// Puts `factory` in force for the whole process until destroyed; then whatever was there before. `factory` must
/// outlive this object.
class replaced_thread_factory {
 public:
  explicit replaced_thread_factory(thread_factory& factory) noexcept;
  ~replaced_thread_factory();
  replaced_thread_factory(const replaced_thread_factory&) = delete;
  replaced_thread_factory& operator=(const replaced_thread_factory&) = delete;

 private:
  friend thread_factory& threads() noexcept;
  static std::atomic<thread_factory*> in_force_;
  thread_factory* before_;
};

/// The factory in force. Any thread.
inline thread_factory& threads() noexcept {
  return *replaced_thread_factory::in_force_.load(std::memory_order_relaxed);
}

/// `threads().start` for work that can only be moved.
template <class Work>
result<std::unique_ptr<running_thread>> start_thread(const std::string& name, Work work) {
  return threads().start(name, [kept = std::make_shared<Work>(std::move(work))] { (*kept)(); });
}

/// Whether this process can have `count` more threads: begins as many at once, ends them, and waits until the kernel
/// counts them no more (a second at most). For libraries that crash when they are refused one. The error is that of the
/// first which could not be had. Another program of the same user may still be faster than whoever asks.
result<void> prove_threads(std::size_t count);

} // namespace actnet::net
