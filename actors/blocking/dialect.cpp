#include "actnet/actors/blocking/dialect.hpp"

#include "actnet/actors/loop_host.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace actnet::blocking {

namespace {

/// Outlives the wait if it is called off while it ends.
struct wait final : sequential::waiter, std::enable_shared_from_this<wait> {
  explicit wait(sequential::operation& o) : what(o) {}

  void finished() noexcept override {
    std::lock_guard guard{mutex};
    done = true;
    changed.notify_one(); // under the lock: whoever waits is gone after it
  }

  void await() {
    std::unique_lock lock{mutex};
    changed.wait(lock, [this] { return done; });
  }

  /// In the loop's thread, where alone `done` is set.
  void call_off() noexcept {
    if (done)
      return;
    what.call_off();
    what.refuse(errc::cancelled);
    finished();
  }

  sequential::operation& what;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

} // namespace

void wait_for(sequential::operation& what, const std::stop_token& stop) {
  if (what.is_of_nothing()) {
    what.refuse(errc::closed);
    return;
  }
  if (loop_host::current()) {
    what.refuse(errc::would_block_the_loop);
    return;
  }
  auto& loop = what.home().loop();
  const auto waiting = std::make_shared<wait>(what);
  const auto begun = loop.post(
      [](void* object, void*) noexcept {
        auto& w = *static_cast<wait*>(object);
        w.what.begin_for(w);
      },
      waiting.get(), nullptr);
  if (!begun) {
    what.refuse(errc::shutting_down);
    return;
  }
  const std::stop_callback on_stop{stop, [&loop, waiting] {
                                     auto held = std::make_unique<std::shared_ptr<wait>>(waiting);
                                     const auto posted = loop.post(
                                         [](void* object, void*) noexcept {
                                           std::unique_ptr<std::shared_ptr<wait>> w{
                                               static_cast<std::shared_ptr<wait>*>(object)};
                                           (*w)->call_off();
                                         },
                                         held.get(), nullptr);
                                     if (posted)
                                       (void)held.release();
                                   }};
  waiting->await();
}

} // namespace actnet::blocking
