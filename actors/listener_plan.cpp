#include "actnet/actors/listener_plan.hpp"

#include "actnet/actors/loops.hpp"

#include <utility>

namespace actnet {

listener_plan::listener_plan(loops& every, net::endpoint where, listen_options how, connection_handler_factory make,
                             caf::strong_actor_ptr whose, std::string path)
    : all(every),
      home(every.next(how.same_loop).shared_from_this()),
      local(std::move(where)),
      options(std::move(how)),
      make_handler(std::move(make)),
      owner(std::move(whose)),
      supervised(!path.empty()),
      count(std::make_shared<connection_count>(options.max_connections)),
      book(std::make_shared<listener_book>(every, *home, std::move(path), options.max_per_address)),
      rate(options.accept_rate),
      alarm_threshold(options.connection_alarm.threshold),
      alarm_cooldown(options.connection_alarm.cooldown.count()),
      handshake_deadline(options.connection.handshake_deadline.count()) {}

bool listener_plan::take_allowed() noexcept {
  auto left = allowed.load();
  do {
    if (left == 0)
      return false;
  } while (left > 0 && !allowed.compare_exchange_weak(left, left - 1));
  return true;
}

void listener_plan::give_back_allowed() noexcept {
  auto left = allowed.load();
  while (left >= 0 && !allowed.compare_exchange_weak(left, left + 1)) {
  }
}

void listener_plan::change(const set_limits& limits) noexcept {
  if (limits.max_per_address)
    book->set_max_per_address(*limits.max_per_address);
  if (limits.accept_rate)
    rate.set(*limits.accept_rate);
  if (limits.max_connections)
    count->set_limit(*limits.max_connections);
  if (limits.alarm_threshold)
    alarm_threshold = *limits.alarm_threshold;
  if (limits.alarm_cooldown)
    alarm_cooldown = limits.alarm_cooldown->count();
  if (limits.handshake_deadline)
    handshake_deadline = limits.handshake_deadline->count();
}

bool listener_plan::alarm_is_due(std::uint32_t live, net::time_point now) noexcept {
  const auto threshold = alarm_threshold.load();
  if (threshold == 0 || live < threshold)
    return false;
  auto not_before = no_alarm_until.load();
  const auto next = net::later(now, std::chrono::milliseconds{alarm_cooldown.load()});
  return now.time_since_epoch().count() >= not_before &&
         no_alarm_until.compare_exchange_strong(not_before, next.time_since_epoch().count());
}

void listener_plan::leave() noexcept {
  left_open = true;
  if (!kept)
    close_what_is_left();
}

void listener_plan::abandon() noexcept {
  kept = false;
  close_what_is_left();
}

/// By whichever of the two comes last, and here: others may hold the plan for some time yet.
void listener_plan::close_what_is_left() noexcept {
  if (!left_open.exchange(false))
    return;
  sockets.clear();
  if (supervised)
    end_connections(all, count, &connection_actor::abort);
}

void listener_plan::drop_connections(bool abort) noexcept {
  end_connections(all, count, abort ? &connection_actor::abort : &connection_actor::close);
}

} // namespace actnet
