#include "actnet/actors/connection_opener.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace actnet {

class connection_count::slot final : public connection_slot {
 public:
  explicit slot(std::shared_ptr<connection_count> count) noexcept : count_(std::move(count)) {}
  ~slot() override { count_->returned(); }
  const connection_count* count() const noexcept override { return count_.get(); }

 private:
  std::shared_ptr<connection_count> count_;
};

bool connection_count::try_take() noexcept {
  auto live = live_.load();
  do {
    const auto limit = limit_.load();
    if (limit != 0 && live >= limit)
      return false;
  } while (!live_.compare_exchange_weak(live, live + 1));
  return true;
}

std::shared_ptr<connection_slot> connection_count::take(const caf::strong_actor_ptr& whom) {
  if (!try_take()) {
    wait(whom);
    if (!try_take()) // one may have been returned before the line above
      return nullptr;
    forget(whom);
  }
  return std::make_shared<slot>(shared_from_this());
}

bool connection_count::await_end(const caf::strong_actor_ptr& whom) {
  wait(whom);
  if (live_.load() > 0)
    return true;
  forget(whom);
  return false;
}

/// Nobody would tell it, and so let go of it.
void connection_count::forget(const caf::strong_actor_ptr& whom) {
  std::lock_guard guard{mutex_};
  std::erase(waiting_, whom);
}

void connection_count::wait(const caf::strong_actor_ptr& whom) {
  std::lock_guard guard{mutex_};
  if (std::find(waiting_.begin(), waiting_.end(), whom) == waiting_.end())
    waiting_.push_back(whom);
  awaited_.store(true);
}

void connection_count::returned() noexcept {
  live_.fetch_sub(1);
  if (!awaited_.load())
    return;
  std::vector<caf::strong_actor_ptr> told;
  {
    std::lock_guard guard{mutex_};
    told.swap(waiting_);
    awaited_.store(false);
  }
  for (auto& who : told)
    who->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, slot_returned{}), nullptr);
}

void on_every_loop(loops& all, const std::function<void(loop_host&, std::size_t)>& what) {
  struct order {
    loop_host& host;
    std::size_t index;
    std::function<void(loop_host&, std::size_t)> what;
  };
  for (const auto& host : all.every_loop()) {
    auto given = std::make_unique<order>(order{*host, all.number_of(*host), what});
    const auto posted = host->loop().post(
        [](void* object, void*) noexcept {
          std::unique_ptr<order> o{static_cast<order*>(object)};
          o->what(o->host, o->index);
        },
        given.get(), nullptr);
    if (posted)
      (void)given.release();
  }
}

void for_each_connection(loop_host& host, const std::function<void(connection_actor&)>& what) {
  host.for_each_lean([&what](lean_actor& who) {
    auto connection = dynamic_cast<connection_actor*>(&who);
    if (connection && connection->slot())
      what(*connection);
  });
}

void end_connections(loops& all, const std::shared_ptr<connection_count>& count,
                     void (connection_actor::*how)() noexcept) noexcept {
  on_every_loop(all, [count, how](loop_host& host, std::size_t) {
    for_each_connection(host, [&count, how](connection_actor& each) {
      if (each.slot()->count() == count.get())
        (each.*how)();
    });
  });
}

connection open_connection(loop_host& home, connection_birth birth, const connection_handler_factory& make_handler,
                           const caf::strong_actor_ptr& owner) {
  const auto actor = connection_actor::make(home, std::move(birth));
  auto& born = static_cast<connection_actor&>(*actor->get());
  const connection opened{born};
  if (make_handler) {
    try {
      born.born_to(caf::actor_cast<caf::strong_actor_ptr>(make_handler(home, opened)));
    } catch (...) {
      net::log_limited(net::log_level::error, "actor",
                       "a connection handler could not be made: " + to_text(std::current_exception()));
      return {};
    }
  } else if (owner) {
    born.born_to(owner);
  }
  born.start();
  return opened;
}

} // namespace actnet
