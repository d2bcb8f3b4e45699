// How a supervisor ends children, and what it does when one has ended.
#include "actnet/actors/supervision/supervised_child.hpp"

namespace actnet {

namespace {

using std::chrono::milliseconds;

/// What a socket gets beyond the time for its connections, which it ends by itself.
constexpr milliseconds grace{100};

/// Lines in the log; of the others the next line tells the number.
constexpr unsigned dynamic_lines_per_second = 10;

bool is_normal(const caf::error& reason) {
  return !reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown;
}

std::string shown(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s" : std::to_string(time.count()) + " ms";
}

} // namespace

// -- ending ------------------------------------------------------------------------------------------

void supervisor_actor::order_end(child& which, bool to_be_restarted) {
  log_waiting_end(which,
                  to_be_restarted && which.spec.restart != restart::temporary ? "; it is started again" : nullptr);
  if (which.state == child_state::restarting) {
    which.boss_timers().cancel(which);
    which.waits_for = nullptr;
    set_state(which, child_state::stopped);
  }
  if (!which.who && !to_be_restarted)
    which.let_go_of_socket();
  else if (!which.who && which.kept)
    which.kept->drop_connections(which.spec.shutdown.is_brutal());
  if (!which.who || which.state == child_state::stopping)
    return;
  set_state(which, child_state::stopping);
  which.to_be_restarted = to_be_restarted;
  const auto& how = which.spec.shutdown;
  if (how.is_brutal()) {
    caf::anon_send_exit(which.who, caf::exit_reason::kill);
    return;
  }
  if (which.owns_socket() && to_be_restarted)
    send(which.who, stand_down{how.within()});
  else if (which.owns_socket())
    send(which.who, drain{how.within()});
  else
    send_exit(which.who, caf::exit_reason::user_shutdown);
  if (!how.is_infinite())
    which.boss_timers().arm(
        which, net::later(home()->loop().deadline_in(how.within()), which.owns_socket() ? grace : milliseconds{0}));
}

void supervisor_actor::adopt(const orphans& given) {
  auto& all = branches_[given.branch];
  for (const auto& each : given.who)
    if (orphans_.try_emplace(each.id(), given.branch).second) {
      ++all.left;
      monitor(each);
    }
  if (all.left == 0)
    branches_.erase(given.branch);
}

/// Whether that has been dealt with here: it is the end of one of them, or has to wait for theirs.
bool supervisor_actor::waits_for_orphans(const caf::down_msg& message) {
  if (const auto found = orphans_.find(message.source.id()); found != orphans_.end()) {
    const auto of = branches_.find(found->second);
    orphans_.erase(found);
    if (--of->second.left == 0) {
      const auto end = std::move(of->second.end);
      branches_.erase(of);
      if (end)
        down(*end);
    }
    return true;
  }
  const auto of = branches_.find(message.source.id());
  if (of == branches_.end())
    return false;
  of->second.end = message;
  return true;
}

void supervisor_actor::down(const caf::down_msg& message) {
  if (!branches_.empty() && waits_for_orphans(message))
    return;
  const auto found = by_actor_.find(message.source.id());
  if (found == by_actor_.end()) {
    other_down(message);
    return;
  }
  const auto which = found->second;
  by_actor_.erase(found);
  const auto was = which->state;
  which->boss_timers().cancel(*which);
  which->who = nullptr;
  const auto reason = which->complaint.empty() ? message.reason : make_error(code_of(message.reason), which->complaint);
  which->last_reason = reason;
  if (was == child_state::stopping) {
    if (!is_normal(reason) && reason != caf::exit_reason::kill)
      log_end(*which, reason, " while it was being ended");
    set_state(*which, child_state::stopped);
    if (!which->to_be_restarted)
      which->let_go_of_socket();
    else if (which->kept)
      which->kept->drop_connections(true); // it was killed: they have had their time
    if (std::exchange(which->awaited, false) && at_)
      --at_->awaited;
    proceed();
  } else if (was == child_state::starting && at_ && at_->starting == which) {
    set_state(*which, child_state::stopped);
    at_->starting = nullptr;
    finish_work(which, is_normal(reason) ? make_error(errc::other, "it ended before it was started") : reason);
    proceed();
  } else {
    set_state(*which, which->spec.restart == restart::temporary ? child_state::stopped : child_state::restarting);
    which->end_waits = true;
    when_free([this, which, starts = which->starts, reason] {
      if (which->place != children_.end() && which->starts == starts && std::exchange(which->end_waits, false))
        ended(which, reason);
    });
  }
}

void supervisor_actor::ended(const child_ptr& which, const caf::error& reason) {
  const auto normally =
      is_normal(reason) || (which->is == started_child::nature::supervisor && code_of(reason) == errc::restart_limit);
  const auto again =
      which->spec.restart == restart::permanent || (which->spec.restart == restart::transient && !normally);
  const auto called_off = ending_ || killed_all_ || is_called_off(*which);
  if (is_normal(reason))
    which->let_go_of_socket(); // it has closed it
  if (again && !called_off) {
    restart_after(which, reason);
    return;
  }
  log_end(*which, reason, nullptr);
  if (which->spec.restart == restart::temporary || is_dynamic()) {
    forget(which);
  } else {
    set_state(*which, child_state::stopped);
    which->let_go_of_socket();
  }
}

void supervisor_actor::log_end(const child& which, const caf::error& reason, const char* what_follows) const {
  const auto normally = is_normal(reason) && !what_follows;
  const auto level = normally ? net::log_level::debug : net::log_level::warning;
  if (!net::log_enabled(level))
    return;
  const auto line = which.path() + " ended: " + in_words(reason) + (what_follows ? what_follows : "");
  const bool goes_on = what_follows && which.state == child_state::restarting; // that has its intensity
  if (normally || goes_on)
    net::log(level, "supervisor", line);
  else
    log_of_child(level, line);
}

/// Of children without number there can be a flood.
void supervisor_actor::log_of_child(net::log_level level, const std::string& line) const {
  if (is_dynamic())
    net::log_limited(level, "supervisor-child", line, dynamic_lines_per_second);
  else
    net::log(level, "supervisor", line);
}

/// Of an end that is not going to be dealt with, because something greater comes first.
void supervisor_actor::log_waiting_end(child& which, const char* what_follows) const {
  if (std::exchange(which.end_waits, false))
    log_end(which, which.last_reason, what_follows);
}

// -- starting again ----------------------------------------------------------------------------------

/// In the order of their start.
std::vector<supervisor_actor::child_ptr> supervisor_actor::restarted_with(const child_ptr& failed) const {
  switch (options_.strategy) {
  case strategy::one_for_all: return {children_.begin(), children_.end()};
  case strategy::rest_for_one: return {std::list<child_ptr>::const_iterator{failed->place}, children_.end()};
  case strategy::one_for_one:
  case strategy::dynamic: break;
  }
  return {failed};
}

/// Only when nothing is being done. After a start that failed, others have their turns before the next.
void supervisor_actor::restart_after(const child_ptr& failed, const caf::error& reason, bool did_not_start) {
  const auto now = home()->loop().exactly_now();
  set_state(*failed, child_state::restarting);
  if (!window_.add(now)) {
    log_end(*failed, reason, "; that was once too often");
    const auto sentence = path_ + " gives up: more than " + std::to_string(window_.intensity()) + " restarts within " +
                          shown(window_.period()) + ", the last for " + failed->path() + ": " + in_words(reason);
    net::log(net::log_level::error, "supervisor", sentence);
    giving_up(sentence);
    end_all(make_error(errc::restart_limit, sentence));
    return;
  }
  if (!failed->delays)
    failed->delays.emplace(options_.backoff);
  const auto delay = failed->delays->next(failed->began_at, now);
  log_end(*failed, reason,
          delay.count() > 0 ? ("; it is started again in " + shown(delay)).c_str() : "; it is started again");
  const auto group = restarted_with(failed);
  if (group.size() > 1 && failed->kept)
    failed->kept->drop_connections(failed->spec.shutdown.is_brutal());
  work others;
  others.to_be_restarted = true;
  for (auto each = group.rbegin(); each != group.rend(); ++each)
    if (*each != failed)
      others.stops.push_back({*each});
  others.done = [this, group, failed, delay, did_not_start](const child_ptr&, const caf::error&) {
    for (const auto& each : group) {
      each->waits_for = each == failed ? nullptr : failed.get();
      if (each->spec.restart == restart::temporary && each != failed)
        forget(each);
      else
        set_state(*each, child_state::restarting);
    }
    if ((delay.count() > 0 || did_not_start) && !is_called_off(*failed))
      home()->loop().timers().arm(*failed, home()->loop().deadline_in(delay));
    else
      start_again(failed);
  };
  perform(std::move(others));
}

/// Only when nothing is being done.
void supervisor_actor::start_again(const child_ptr& failed) {
  if (failed->state != child_state::restarting || failed->place == children_.end())
    return;
  work all;
  all.some_called_off = true;
  for (const auto& each : restarted_with(failed)) {
    all.starts.push_back(each);
    if (each != failed && !each->who && !is_called_off(*each))
      net::log(net::log_level::info, "supervisor", each->path() + " is started again with " + failed->path());
  }
  all.done = [this](const child_ptr& did_not, const caf::error& cause) {
    if (!did_not)
      return;
    net::log(net::log_level::error, "supervisor", did_not->path() + " did not start again: " + in_words(cause));
    set_state(*did_not, child_state::restarting);
    for (const auto& each : restarted_with(did_not))
      if (each != did_not && each->state == child_state::restarting)
        each->waits_for = did_not.get();
    when_free([this, did_not, starts = did_not->starts, cause] {
      if (did_not->place != children_.end() && did_not->state == child_state::restarting && did_not->starts == starts)
        restart_after(did_not, cause, true);
    });
  };
  perform(std::move(all));
}

/// Only when nothing is being done. It will not be started, for no socket is opened any more; those that wait for it
/// are.
void supervisor_actor::start_without(const child_ptr& called_off) {
  child_ptr first;
  for (const auto& each : restarted_with(called_off))
    if (each->waits_for == called_off.get()) {
      each->waits_for = first.get();
      if (!first)
        first = each;
    }
  if (first)
    start_again(first);
}

/// It will not be started, so they are not either (as by OTP).
void supervisor_actor::stop_those_that_wait_for(const child_ptr& failed) {
  for (const auto& each : restarted_with(failed))
    if (each->waits_for == failed.get()) {
      net::log(net::log_level::warning, "supervisor",
               each->path() + " stays ended, for " + failed->path() + " was terminated before it started again");
      order_end(*each, false);
    }
}

} // namespace actnet
