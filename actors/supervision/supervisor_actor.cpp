#include "actnet/actors/supervision/supervisor_actor.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/supervision/tree.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace actnet {

namespace {

/// To a supervisor, from itself: a timer left something to do, for which it needs a turn.
struct take_turn {};

} // namespace

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::take_turn)

namespace actnet {

namespace {

using std::chrono::milliseconds;

/// What a socket gets beyond the time for its connections, which it ends by itself.
constexpr milliseconds grace{100};

bool is_normal(const caf::error& reason) {
  return !reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown;
}

std::string in_words(const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return "normally";
  return reason == caf::exit_reason::kill ? "killed" : to_text(reason);
}

std::string shown(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s" : std::to_string(time.count()) + " ms";
}

} // namespace

/// The timer is for its end, or for its next start.
struct supervisor_actor::child final : net::timer, std::enable_shared_from_this<child> {
  child(supervisor_actor& b, child_spec s) : boss(b), spec(std::move(s)) {}
  ~child() override { boss_timers().cancel(*this); }

  supervisor_actor& boss;
  child_spec spec;
  std::list<child_ptr>::iterator place;
  caf::strong_actor_ptr handle; // a relay, unless it is temporary
  caf::actor who;               // while it lives
  started_child::nature is = started_child::nature::plain;
  child_state state = child_state::stopped;
  std::uint64_t starts = 0;
  std::optional<backoff> delays;
  net::time_point began_at{};
  std::shared_ptr<kept_socket> kept;
  caf::error last_reason;
  bool awaited = false;             // its end is, by what is being done
  bool to_be_restarted = false;     // it is being ended for that
  bool end_waits = false;           // to be dealt with
  const child* waits_for = nullptr; // to be started again, and this one after it

  net::timer_queue& boss_timers() const { return boss.home()->loop().timers(); }
  relay* stable() const { return handle ? static_cast<relay*>(handle->get()) : nullptr; }
  bool owns_socket() const { return is == started_child::nature::listener || is == started_child::nature::datagrams; }

  void on_timer(net::time_point) noexcept override {
    if (state == child_state::stopping) {
      net::log(net::log_level::warning, "supervisor", path() + " does not end in time and is killed");
      caf::anon_send_exit(who, caf::exit_reason::kill);
    } else if (state == child_state::restarting) {
      boss.waiting_.push_back({[me = shared_from_this()] { me->boss.start_again(me); }, {}});
      boss.send(&boss, take_turn{}); // outside of a turn an actor cannot end
    }
  }

  std::string path() const { return boss.path_ + "/" + spec.id; }

  /// Nobody comes after it.
  void let_go_of_socket() {
    if (kept)
      std::exchange(kept, nullptr)->abandon();
  }
};

/// Children that are ended, group by group, and children that are then started, one by one.
struct supervisor_actor::work {
  std::deque<std::vector<child_ptr>> stops;
  std::deque<child_ptr> starts;
  bool to_be_restarted = false; // those that are ended
  std::function<void(const child_ptr& failed, const caf::error& cause)> done;
  response_promise asked = {};

  std::size_t awaited = 0; // ends
  child_ptr starting;
};

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
      net::log(net::log_level::warning, "supervisor",
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
  const auto& which = *found->second;
  return which.handle ? caf::actor_cast<caf::actor>(which.handle) : which.who;
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
  return {which.spec.id,
          which.path(),
          which.handle ? caf::actor_cast<caf::actor>(which.handle) : which.who,
          which.who,
          which.state,
          which.spec.kind,
          which.spec.restart,
          which.starts > 1 ? which.starts - 1 : 0};
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
  when_free([this, made] {
    work one;
    one.starts.push_back(made);
    one.done = [this](const child_ptr& failed, const caf::error& cause) {
      if (!failed)
        return;
      const auto path = failed->path();
      const auto is = failed->is;
      forget(failed);
      child_failed_to_start(path, is, cause);
    };
    perform(std::move(one));
  });
  return made->handle ? caf::actor_cast<caf::actor>(made->handle) : made->who;
}

caf::error supervisor_actor::try_start(child& which) {
  if (ending_ || killed_all_ || (no_new_sockets_ && (which.starts == 0 || which.is != started_child::nature::plain)))
    return make_error(errc::shutting_down);
  which.boss_timers().cancel(which);
  which.to_be_restarted = which.end_waits = false;
  which.waits_for = nullptr;
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

// -- ending ------------------------------------------------------------------------------------------

void supervisor_actor::order_end(child& which, bool to_be_restarted) {
  if (which.state == child_state::restarting) {
    which.boss_timers().cancel(which);
    which.end_waits = false;
    which.waits_for = nullptr;
    set_state(which, child_state::stopped);
  }
  if (!to_be_restarted && !which.who)
    which.let_go_of_socket();
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
    which.boss_timers().arm(which, net::later(net::later(home()->loop().now(), how.within()),
                                              which.owns_socket() ? grace : milliseconds{0}));
}

void supervisor_actor::adopt(const orphans& given) {
  auto& all = branches_[given.branch];
  for (const auto& each : given.who)
    if (orphans_.try_emplace(each.id(), given.branch).second) {
      ++all.left;
      monitor(each);
    }
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
  which->last_reason = message.reason;
  if (was == child_state::stopping) {
    if (!is_normal(message.reason) && message.reason != caf::exit_reason::kill)
      log_end(*which, message.reason, " while it was being ended");
    set_state(*which, child_state::stopped);
    if (!which->to_be_restarted)
      which->let_go_of_socket();
    if (std::exchange(which->awaited, false) && at_)
      --at_->awaited;
    proceed();
  } else if (was == child_state::starting && at_ && at_->starting == which) {
    set_state(*which, child_state::stopped);
    at_->starting = nullptr;
    finish_work(which,
                is_normal(message.reason) ? make_error(errc::other, "it ended before it was started") : message.reason);
    proceed();
  } else {
    set_state(*which, which->spec.restart == restart::temporary ? child_state::stopped : child_state::restarting);
    which->end_waits = true;
    when_free([this, which, starts = which->starts, reason = message.reason] {
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
  const auto called_off = ending_ || killed_all_ || (no_new_sockets_ && which->is != started_child::nature::plain);
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
  const auto line = which.path() + " ended: " + in_words(reason);
  if (what_follows)
    net::log(net::log_level::warning, "supervisor", line + what_follows);
  else if (!is_normal(reason))
    net::log_limited(net::log_level::warning, "supervisor-child", line);
  else if (net::log_enabled(net::log_level::debug))
    net::log(net::log_level::debug, "supervisor", line);
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
  const auto now = home()->loop().now();
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
  work others;
  others.to_be_restarted = true;
  for (auto each = group.rbegin(); each != group.rend(); ++each)
    if (*each != failed)
      others.stops.push_back({*each});
  others.done = [this, group, failed, delay, did_not_start](const child_ptr&, const caf::error&) {
    for (const auto& each : group) {
      each->end_waits = false;
      each->waits_for = each == failed ? nullptr : failed.get();
      if (each->spec.restart == restart::temporary && each != failed)
        forget(each);
      else
        set_state(*each, child_state::restarting);
    }
    if (delay.count() > 0 || did_not_start)
      home()->loop().timers().arm(*failed, net::later(home()->loop().now(), delay));
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
  for (const auto& each : restarted_with(failed)) {
    all.starts.push_back(each);
    if (each != failed && !each->who)
      net::log(net::log_level::info, "supervisor", each->path() + " is started again with " + failed->path());
  }
  all.done = [this](const child_ptr& did_not, const caf::error& cause) {
    if (!did_not)
      return;
    if (ending_ || code_of(cause) == errc::shutting_down) {
      set_state(*did_not, child_state::stopped);
      did_not->let_go_of_socket();
      return;
    }
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

/// It will not be started, so they are not either (as by OTP).
void supervisor_actor::stop_those_that_wait_for(const child_ptr& failed) {
  for (const auto& each : children_)
    if (each->waits_for == failed.get()) {
      net::log(net::log_level::warning, "supervisor",
               each->path() + " stays ended, for " + failed->path() + " was terminated before it started again");
      order_end(*each, false);
    }
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

void supervisor_actor::drain_sockets(milliseconds deadline, std::function<void()> then) {
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
  for (const auto& each : children_) {
    each->to_be_restarted = false;
    if (each->is == started_child::nature::plain)
      continue;
    if (each->who) {
      ++all->left;
      request(each->who, caf::infinite, drain{deadline})
          .then([one_less](caf::ok_atom) { one_less(); }, [one_less](caf::error&) { one_less(); });
    } else if (each->state == child_state::restarting) {
      order_end(*each, false);
    }
  }
  one_less();
}

// -- the tree ----------------------------------------------------------------------------------------

/// Until every child has answered or the time is over, whichever comes first.
class supervisor_actor::survey final : public net::timer, public std::enable_shared_from_this<survey> {
 public:
  survey(supervisor_actor& self, std::function<void(const tree_node&)> then) : self_(self), then_(std::move(then)) {}

  void begin(std::chrono::milliseconds within) {
    found_.self.path = self_.path_;
    found_.self.actor = caf::actor{&self_};
    found_.self.kind = child_kind::supervisor;
    found_.self.state = self_.ending_ ? child_state::stopping : child_state::running;
    for (const auto& each : self_.children_)
      found_.children.push_back({self_.describe(*each), {}, {}, {}});
    std::size_t place = 0;
    for (const auto& each : self_.children_) {
      using enum started_child::nature;
      if (each->who && each->is == supervisor)
        ask<tree_node>(place, get_tree{within / 4 * 3},
                       [](tree_node& to, const tree_node& answer) { to.children = answer.children; });
      else if (each->who && each->is == listener)
        ask<listener_info>(place, get_listener_info{},
                           [](tree_node& to, const listener_info& answer) { to.listener = answer; });
      else if (each->who && each->is == datagrams)
        ask<datagram::info>(place, datagram::get_info{},
                            [](tree_node& to, const datagram::info& answer) { to.datagrams = answer; });
      ++place;
    }
    self_.home()->loop().timers().arm(*this, net::later(self_.home()->loop().now(), within));
    answered();
  }

  /// Nobody is told. It outlives the supervisor in the answers that it waits for.
  void call_off() {
    self_.home()->loop().timers().cancel(*this);
    then_ = nullptr;
  }

 private:
  template <class Answer, class Question>
  void ask(std::size_t place, Question question, void (*take)(tree_node&, const Answer&)) {
    ++open_;
    self_.request(found_.children[place].self.actor, caf::infinite, question)
        .then(
            [me = shared_from_this(), place, take](const Answer& answer) {
              take(me->found_.children[place], answer);
              me->answered();
            },
            [me = shared_from_this()](caf::error&) { me->answered(); });
  }

  void answered() {
    if (--open_ == 0)
      finish();
  }

  void finish() {
    if (!then_)
      return;
    const auto then = std::exchange(then_, nullptr);
    const auto me = shared_from_this();
    call_off();
    std::erase(self_.surveys_, me);
    then(found_);
  }

  void on_timer(net::time_point) noexcept override { finish(); }

  supervisor_actor& self_;
  std::function<void(const tree_node&)> then_;
  tree_node found_;
  std::size_t open_ = 1;
};

void supervisor_actor::call_off_surveys() {
  for (const auto& each : std::exchange(surveys_, {}))
    each->call_off();
}

void supervisor_actor::look_at_tree(const get_tree& how, std::function<void(const tree_node&)> then) {
  const auto begun = std::make_shared<survey>(*this, std::move(then));
  surveys_.push_back(begun);
  begun->begin(how.within);
}

void supervisor_actor::child_failed_to_start(const std::string& path, started_child::nature, const caf::error& cause) {
  net::log(net::log_level::error, "supervisor", path + " did not start: " + in_words(cause));
}

void supervisor_actor::giving_up(const std::string&) {}

// -- messages ----------------------------------------------------------------------------------------

caf::message_handler supervisor_actor::supervision() {
  return {
      [this](child_began) { began(current_sender()); },
      [this](take_turn) { proceed(); },
      [this](const orphans& given) { adopt(given); },
      [this](const actnet::start_child& order) {
        answer_when_free([this, spec = order.spec](response_promise promise) mutable {
          if (const auto mistake = mistake_in(spec); !mistake.empty()) {
            promise.deliver(make_error(errc::invalid_argument, mistake));
            return;
          }
          if (const auto found = is_dynamic() ? by_id_.end() : by_id_.find(spec.id); found != by_id_.end()) {
            promise.deliver(make_error(found->second->who || found->second->state == child_state::restarting
                                           ? errc::already_started
                                           : errc::already_present));
            return;
          }
          const auto made = add(std::move(spec));
          work one;
          one.asked = promise;
          one.starts.push_back(made);
          one.done = [this, made, promise](const child_ptr& failed, const caf::error& cause) mutable {
            if (!failed) {
              promise.deliver(made->handle ? caf::actor_cast<caf::actor>(made->handle) : made->who);
              return;
            }
            if (promise.pending()) {
              promise.deliver(cause);
              forget(made);
            } else {
              const auto path = made->path();
              forget(made);
              child_failed_to_start(path, made->is, cause);
            }
          };
          perform(std::move(one));
        });
      },
      [this](const terminate_child& order) {
        answer_when_free([this, which = order.which](response_promise promise) mutable {
          const auto found = find(which);
          if (!found) {
            promise.deliver(make_error(errc::not_found));
            return;
          }
          work one;
          one.asked = promise;
          one.stops.push_back({found});
          one.done = [this, found, promise](const child_ptr&, const caf::error&) mutable {
            stop_those_that_wait_for(found);
            if (found->spec.restart == restart::temporary || is_dynamic())
              forget(found);
            promise.deliver(caf::ok_atom_v);
          };
          perform(std::move(one));
        });
      },
      [this](const restart_child& order) {
        answer_when_free([this, which = order.which](response_promise promise) mutable {
          const auto found = find(which);
          if (!found || found->state != child_state::stopped || is_dynamic()) {
            promise.deliver(make_error(is_dynamic()                              ? errc::not_supported
                                       : !found                                  ? errc::not_found
                                       : found->state == child_state::restarting ? errc::restarting
                                                                                 : errc::running));
            return;
          }
          work one;
          one.asked = promise;
          one.starts.push_back(found);
          one.done = [found, promise](const child_ptr& failed, const caf::error& cause) mutable {
            if (failed)
              promise.deliver(cause);
            else
              promise.deliver(found->handle ? caf::actor_cast<caf::actor>(found->handle) : found->who);
          };
          perform(std::move(one));
        });
      },
      [this](const delete_child& order) {
        answer_when_free([this, which = order.which](response_promise promise) mutable {
          const auto found = find(which);
          if (!found)
            promise.deliver(make_error(errc::not_found));
          else if (found->state == child_state::restarting)
            promise.deliver(make_error(errc::restarting));
          else if (found->state != child_state::stopped)
            promise.deliver(make_error(errc::running));
          else {
            forget(found);
            promise.deliver(caf::ok_atom_v);
          }
        });
      },
      [this](which_children) {
        answer_when_free([this](response_promise promise) mutable {
          child_list all;
          for (const auto& each : children_)
            all.children.push_back(describe(*each));
          promise.deliver(std::move(all));
        });
      },
      [this](count_children) {
        answer_when_free([this](response_promise promise) mutable {
          child_counts counts;
          for (const auto& each : children_) {
            ++counts.specs;
            counts.active += static_cast<bool>(each->who);
            ++(each->spec.kind == child_kind::supervisor ? counts.supervisors : counts.workers);
          }
          promise.deliver(counts);
        });
      },
      [this](const get_tree& how) {
        look_at_tree(how,
                     [promise = make_response_promise()](const tree_node& found) mutable { promise.deliver(found); });
      },
      [this](const drain& order) {
        drain_sockets(order.deadline, [this, promise = make_response_promise()]() mutable {
          promise.deliver(caf::ok_atom_v);
          if (!parent_)
            end_all({});
        });
      },
      // Of the sockets of its children, it reports upwards what a root tells the world.
      [this](const listening& l) {
        if (parent_)
          send(caf::actor_cast<caf::actor>(parent_), l);
      },
      [this](const bound& b) {
        if (parent_)
          send(caf::actor_cast<caf::actor>(parent_), b);
      },
      [this](const connections_alarm& alarm) {
        if (parent_)
          send(caf::actor_cast<caf::actor>(parent_), alarm);
      },
      [](const listen_failed&) {},
      [](const bind_failed&) {},
      [](const listener_closed&) {},
      [](const datagram::closed&) {},
  };
}

} // namespace actnet
