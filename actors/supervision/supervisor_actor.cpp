#include "actnet/actors/supervision/supervisor_actor.hpp"

#include "actnet/actors/supervision/supervised_child.hpp"

#include <algorithm>
#include <stdexcept>

namespace actnet {

supervisor_actor::supervisor_actor(caf::actor_config& cfg, std::string path, supervisor_options options,
                                   std::vector<child_spec> children, std::vector<caf::strong_actor_ptr> ancestors)
    : handler(cfg),
      path_(std::move(path)),
      options_(std::move(options)),
      initial_(std::move(children)),
      ancestors_(std::move(ancestors)),
      parent_(ancestors_.empty() ? nullptr : ancestors_.front()),
      window_(options_.intensity, options_.period) {
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg& message) { down(message); });
  set_exit_handler([this](caf::scheduled_actor*, caf::exit_msg& order) {
    if (!order.reason || order.reason == caf::exit_reason::normal)
      return;
    // Of a stranger that is linked to it and failed, a supervisor only takes note.
    const auto ordered = order.reason == caf::exit_reason::user_shutdown || !order.source ||
                         order.source == address() || (parent_ && order.source == parent_->address());
    if (ordered)
      told_to_end(order.reason);
    else
      net::log_limited(net::log_level::warning, "supervisor",
                       path_ + " is linked to an actor that ended: " + in_words(order.reason));
  });
}

supervisor_actor::~supervisor_actor() = default;

caf::behavior supervisor_actor::make_behavior() {
  begin();
  return supervision();
}

std::vector<caf::strong_actor_ptr> supervisor_actor::ancestors_of_children() {
  auto all = ancestors_;
  all.insert(all.begin(), caf::strong_actor_ptr{ctrl()});
  return all;
}

void supervisor_actor::on_exit() {
  orphans left;
  for (const auto& each : children_)
    if (each->who)
      left.who.push_back(each->who);
  if (!left.who.empty()) {
    left.branch = id();
    for (const auto& above : ancestors_) {
      caf::anon_send(caf::actor_cast<caf::actor>(above), left);
      left.branch = above->id();
    }
  }
  at_ = nullptr;
  waiting_.clear();
  ending_ = true;
  kill_all();
  call_off_surveys();
  for (const auto& each : std::exchange(children_, {})) {
    log_waiting_end(*each, nullptr);
    each->let_go_of_socket();
    if (auto stable = each->stable())
      stable->end(make_error(errc::closed));
  }
  by_id_.clear();
  by_actor_.clear();
  by_relay_.clear();
  initial_.clear();
  ancestors_.clear();
  parent_ = nullptr;
}

// -- children ----------------------------------------------------------------------------------------

std::string supervisor_actor::mistake_in(const child_spec& spec) const {
  if (!spec.start)
    return "child " + path_ + "/" + spec.id + " has no function that starts it";
  if (spec.id.empty() && !is_dynamic())
    return "a child of " + path_ + " has no id";
  return {};
}

supervisor_actor::child_ptr supervisor_actor::add(child_spec spec) {
  if (spec.id.empty())
    spec.id = "#" + std::to_string(++last_number_);
  auto made = std::make_shared<child>(*this, std::move(spec));
  if (made->spec.restart != restart::temporary) {
    made->handle = relay::make(*home(), made->path());
    by_relay_[made->handle->id()] = made;
  }
  if (!is_dynamic())
    by_id_[made->spec.id] = made;
  made->place = children_.insert(children_.end(), made);
  return made;
}

void supervisor_actor::forget(const child_ptr& which) {
  if (which->place == children_.end())
    return;
  const auto kept_alive = which;
  log_waiting_end(*kept_alive, nullptr);
  set_state(*kept_alive, child_state::stopped);
  kept_alive->let_go_of_socket();
  kept_alive->boss_timers().cancel(*kept_alive);
  if (auto stable = kept_alive->stable()) {
    by_relay_.erase(kept_alive->handle->id());
    stable->end(kept_alive->last_reason);
  }
  if (!is_dynamic())
    by_id_.erase(kept_alive->spec.id);
  children_.erase(std::exchange(kept_alive->place, children_.end()));
}

supervisor_actor::child_ptr supervisor_actor::find(const child_name& which) const {
  const auto in = [](const auto& map, const auto& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : found->second;
  };
  if (!which.who)
    return in(by_id_, which.id);
  auto found = in(by_relay_, which.who.id());
  return found ? found : in(by_actor_, which.who.id());
}

caf::actor supervisor_actor::child_handle(std::string_view id) const {
  const auto found = by_id_.find(std::string{id});
  if (found == by_id_.end())
    return {};
  return found->second->public_handle();
}

std::string supervisor_actor::free_id(const std::string& text) const {
  auto id = text;
  for (int number = 2; by_id_.contains(id); ++number)
    id = text + " (" + std::to_string(number) + ")";
  return id;
}

void supervisor_actor::set_state(child& which, child_state state) {
  busy_ += state != child_state::stopped;
  busy_ -= which.state != child_state::stopped;
  which.state = state;
  if (auto stable = which.stable(); stable && !which.who)
    stable->disconnect(state == child_state::restarting ? errc::restarting : errc::not_running);
}

child_info supervisor_actor::describe(const child& which) const {
  return {which.spec.id, which.path(),    which.public_handle(), which.who,
          which.state,   which.spec.kind, which.spec.restart,    which.starts > 1 ? which.starts - 1 : 0};
}

// -- one thing after another -------------------------------------------------------------------------

void supervisor_actor::when_free(std::function<void()> what, response_promise asked) {
  if (ending_ && at_) {
    asked.deliver(make_error(errc::shutting_down));
    return;
  }
  waiting_.push_back({std::move(what), std::move(asked)});
  proceed();
}

/// Only when nothing is being done.
void supervisor_actor::perform(work what) {
  at_ = std::make_unique<work>(std::move(what));
  proceed();
}

void supervisor_actor::proceed() {
  if (std::exchange(proceeding_, true))
    return;
  for (;;) {
    if (!at_) {
      if (waiting_.empty())
        break;
      const auto next = std::move(waiting_.front().what);
      waiting_.pop_front();
      next();
    } else if (at_->awaited > 0 || at_->starting) {
      break;
    } else if (!at_->stops.empty()) {
      const auto group = std::move(at_->stops.front());
      at_->stops.pop_front();
      for (const auto& each : group) {
        order_end(*each, at_->to_be_restarted);
        each->awaited = each->state == child_state::stopping;
        at_->awaited += each->awaited;
      }
    } else if (!at_->starts.empty()) {
      const auto next = std::move(at_->starts.front());
      at_->starts.pop_front();
      if (next->who)
        continue;
      if (auto cause = try_start(*next))
        finish_work(next, cause);
      else if (at_ && next->state == child_state::starting)
        at_->starting = next;
    } else {
      finish_work(nullptr, {});
    }
  }
  proceeding_ = false;
  if (!at_)
    on_free();
}

void supervisor_actor::finish_work(const child_ptr& failed, const caf::error& cause) {
  if (failed && at_->some_called_off && code_of(cause) == errc::shutting_down) {
    set_state(*failed, child_state::stopped);
    failed->let_go_of_socket();
    return;
  }
  const auto over = std::move(at_);
  if (over->done)
    over->done(failed, cause);
}

// -- starting ----------------------------------------------------------------------------------------

void supervisor_actor::begin() {
  std::string mistake;
  for (auto& spec : std::exchange(initial_, {})) {
    if (mistake.empty())
      mistake = mistake_in(spec);
    if (mistake.empty() && is_dynamic())
      mistake = "dynamic children of " + path_ + " are started one by one";
    if (mistake.empty() && by_id_.contains(spec.id))
      mistake = "two children of " + path_ + " have the id " + spec.id;
    if (mistake.empty())
      add(std::move(spec));
  }
  if (!mistake.empty()) {
    net::log(net::log_level::error, "supervisor", path_ + " cannot start: " + mistake);
    quit(make_error(errc::invalid_argument, mistake));
    return;
  }
  work all;
  all.starts = {children_.begin(), children_.end()};
  all.done = [this](const child_ptr& failed, const caf::error& cause) {
    if (failed) {
      if (code_of(cause) != errc::shutting_down)
        net::log(net::log_level::error, "supervisor",
                 path_ + " does not start, for " + failed->path() + " did not: " + in_words(cause));
      end_all(cause);
    } else if (parent_) {
      caf::send_as(caf::actor_cast<caf::actor>(ctrl()), caf::actor_cast<caf::actor>(parent_), child_began{});
    }
  };
  perform(std::move(all));
}

caf::actor supervisor_actor::start_child(child_spec spec) {
  auto mistake = mistake_in(spec);
  if (mistake.empty() && by_id_.contains(spec.id))
    mistake = path_ + " has a child of the id " + spec.id + " already";
  if (!mistake.empty())
    throw std::invalid_argument{mistake};
  const auto made = add(std::move(spec));
  when_free([this, made] { start_new(made, asked_by::function, {}); });
  return made->public_handle();
}

/// Only when nothing is being done. Forgets it if it does not start.
void supervisor_actor::start_new(const child_ptr& made, asked_by whom, response_promise asked) {
  made->asked_for = whom == asked_by::message;
  work one;
  one.asked = asked;
  one.starts.push_back(made);
  one.done = [this, made, asked](const child_ptr& failed, const caf::error& cause) mutable {
    if (!failed) {
      asked.deliver(made->public_handle());
      return;
    }
    forget(made);
    if (asked.pending())
      asked.deliver(cause);
    else if (made->asked_for)
      supervisor_actor::child_failed_to_start(made->path(), made->is, cause);
    else
      child_failed_to_start(made->path(), made->is, cause);
  };
  perform(std::move(one));
}

/// While sockets drain, none is opened, nor anything that may have some.
bool supervisor_actor::is_called_off(const child& which) const noexcept {
  return no_new_sockets_ && which.is != started_child::nature::plain;
}

caf::error supervisor_actor::try_start(child& which) {
  if (ending_ || killed_all_ || is_called_off(which) || (no_new_sockets_ && which.starts == 0))
    return make_error(errc::shutting_down);
  log_waiting_end(which, nullptr);
  which.boss_timers().cancel(which);
  which.to_be_restarted = false;
  which.waits_for = nullptr;
  which.complaint.clear();
  which.began_at = home()->loop().now();
  started_child made;
  try {
    made = which.spec.start(start_context{*this, which.path(), which.handle, which.kept});
  } catch (...) {
    set_state(which, child_state::stopped);
    return make_error(errc::other, to_text(std::current_exception()));
  }
  which.is = made.is;
  if (made.who && which.owns_socket() && !which.kept) {
    which.is = started_child::nature::plain; // no message tells of its failure
    caf::anon_send_exit(made.who, caf::exit_reason::kill);
    set_state(which, child_state::stopped);
    return make_error(errc::invalid_argument,
                      "its function opened a socket by itself, in place of start_context::listen or bind");
  }
  if (!made.who) {
    set_state(which, child_state::stopped);
    return make_error(errc::invalid_argument, "its function made no child");
  }
  ++which.starts;
  which.who = std::move(made.who);
  which.last_reason = {};
  set_state(which, which.is == started_child::nature::plain ? child_state::running : child_state::starting);
  by_actor_[which.who.id()] = which.shared_from_this();
  if (auto stable = which.stable())
    stable->connect(caf::actor_cast<caf::strong_actor_ptr>(which.who));
  monitor(which.who);
  return {};
}

void supervisor_actor::began(const caf::strong_actor_ptr& who) {
  const auto found = who ? by_actor_.find(who->id()) : by_actor_.end();
  if (found == by_actor_.end() || found->second->state != child_state::starting)
    return;
  const auto which = found->second;
  set_state(*which, child_state::running);
  if (at_ && at_->starting == which)
    at_->starting = nullptr;
  proceed();
}

std::string failure_in_words(const char* what, const net::endpoint& where, const caf::error& cause) {
  const auto reason = to_text(cause);
  return code_of(cause) == errc::invalid_endpoint
             ? reason
             : std::string{"cannot "} + what + " " + where.to_string() + ": " + reason;
}

bool supervisor_actor::failed_to_open(const std::string& sentence) {
  const auto& who = current_sender();
  const auto found = who ? by_actor_.find(who->id()) : by_actor_.end();
  if (found == by_actor_.end())
    return false;
  auto& which = *found->second;
  which.complaint = sentence;
  return which.asked_for || which.starts > 1;
}

// -- the whole ---------------------------------------------------------------------------------------

std::vector<std::vector<supervisor_actor::child_ptr>> supervisor_actor::ending_order() const {
  std::vector<std::vector<child_ptr>> groups;
  if (is_dynamic())
    groups.emplace_back(children_.begin(), children_.end());
  else
    for (auto each = children_.rbegin(); each != children_.rend(); ++each)
      groups.push_back({*each});
  return groups;
}

void supervisor_actor::end_all(caf::error reason) {
  if (std::exchange(ending_, true))
    return;
  for (auto& each : std::exchange(waiting_, {}))
    each.asked.deliver(make_error(errc::shutting_down));
  if (at_)
    at_->asked.deliver(make_error(errc::shutting_down));
  for (const auto& each : children_)
    each->awaited = false;
  work all;
  for (auto& group : ending_order())
    all.stops.push_back(std::move(group));
  all.done = [this, reason = std::move(reason)](const child_ptr&, const caf::error&) { all_ended(reason); };
  perform(std::move(all));
}

void supervisor_actor::kill_all() {
  killed_all_ = true;
  for (auto each = children_.rbegin(); each != children_.rend(); ++each) {
    (*each)->boss_timers().cancel(**each);
    if ((*each)->who)
      caf::anon_send_exit((*each)->who, caf::exit_reason::kill);
  }
}

void supervisor_actor::drain_sockets(std::chrono::milliseconds deadline, std::function<void()> then) {
  no_new_sockets_ = true;
  struct count {
    std::size_t left = 1;
    std::function<void()> finally;
  };
  const auto all = std::make_shared<count>();
  all->finally = std::move(then);
  const auto one_less = [all] {
    if (--all->left == 0)
      all->finally();
  };
  std::vector<child_ptr> called_off;
  for (const auto& each : children_) {
    each->to_be_restarted = false;
    if (each->is == started_child::nature::plain)
      continue;
    if (each->who) {
      ++all->left;
      request(each->who, caf::infinite, drain{deadline})
          .then([one_less](caf::ok_atom) { one_less(); }, [one_less](caf::error&) { one_less(); });
    } else {
      order_end(*each, false);
      called_off.push_back(each);
    }
  }
  for (const auto& each : called_off)
    when_free([this, each] { start_without(each); });
  one_less();
}

void supervisor_actor::child_failed_to_start(const std::string& path, started_child::nature, const caf::error& cause) {
  log_of_child(net::log_level::error, path + " did not start: " + in_words(cause));
}

void supervisor_actor::giving_up(const std::string&) {}

} // namespace actnet
