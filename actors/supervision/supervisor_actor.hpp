// The actor that starts children, watches them, starts them again when they end, and gives up when that is no use.
#pragma once

#include "actnet/actors/handler.hpp"
#include "actnet/actors/supervision/relay.hpp"
#include "actnet/actors/supervision/restart_window.hpp"
#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/timers.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/message_handler.hpp>
#include <caf/system_messages.hpp>

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace actnet {

/// To a supervisor, from a child that owns a socket or supervises: it is started.
struct child_began {};

/// To the supervisors above one that was killed: its children, which have been killed too, but may not have ended yet.
struct orphans {
  caf::actor_id branch = 0; ///< The child of the receiver below which they were.
  std::vector<caf::actor> who;
};

/// To a child that owns a socket: end, but leave the socket to whoever comes after.
struct stand_down {
  std::chrono::milliseconds deadline{0}; ///< For its connections, which it closes.
};

struct get_tree;
struct tree_node;

/// Lives on a loop, and all its time is that loop's. One thing is done after another, as by OTP's supervisor: while
/// children are being ended and started, commands and the ends of other children wait; only an order to end does not.
class supervisor_actor : public handler {
 public:
  /// `path` is its place in the tree; `ancestors` are the supervisors above it, of which the first is told
  /// `child_began`.
  supervisor_actor(caf::actor_config& cfg, std::string path, supervisor_options options,
                   std::vector<child_spec> children, std::vector<caf::strong_actor_ptr> ancestors);
  ~supervisor_actor() override;

  const char* name() const override { return "actnet.supervisor"; }

  caf::behavior make_behavior() override;
  void on_exit() override;

  const std::string& path() const noexcept { return path_; }

  /// Those above a child of it.
  std::vector<caf::strong_actor_ptr> ancestors_of_children();

  /// Adds a child and starts it when what was begun before is done. Returns its handle (a temporary child has none yet:
  /// nobody). In its own turn. Throws std::invalid_argument for a specification that cannot be.
  caf::actor start_child(child_spec spec);

  /// Asks all below it what they know, and calls `then` on its loop, once, unless it ends before.
  void look_at_tree(const get_tree& how, std::function<void(const tree_node&)> then);

  /// `text`, or with a number if there is a child of that id.
  std::string free_id(const std::string& text) const;

  supervisor_actor* as_supervisor() noexcept final { return this; }

  /// The stable handle of a child; nobody's if there is none of that id.
  caf::actor child_handle(std::string_view id) const;

 protected:
  struct child;

  /// Answers the messages of a supervisor.
  caf::message_handler supervision();

  /// Starts the children it began with.
  void begin();

  /// All children have ended or stopped, and none will be started by itself.
  bool is_idle() const noexcept { return !at_ && waiting_.empty() && busy_ == 0; }

  /// Tells every child that owns a socket, here and below, to drain; `then` follows once all those are gone.
  void drain_sockets(std::chrono::milliseconds deadline, std::function<void()> then);

  /// Ends all children in the reverse order of their start, then itself.
  void end_all(caf::error reason);

  /// The child that sent the current message could not open its socket: the reason of its end will say so in this
  /// sentence. True if that is all there is to do, for whoever asked for the child is answered, or it is a restart.
  bool failed_to_open(const std::string& sentence);

  /// Kills what is left. Nothing is started any more.
  void kill_all();

  // -- what a root does in its own way ---------------------------------------------------------------

  /// A child that nobody asked for by message has not started, and is forgotten.
  virtual void child_failed_to_start(const std::string& path, started_child::nature is, const caf::error& cause);

  /// Children ended too often; all are ended now, and then this supervisor.
  virtual void giving_up(const std::string& sentence);

  /// All that was to be done is done.
  virtual void on_free() {}

  /// By an exit message.
  virtual void told_to_end(const caf::error& reason) { end_all(reason); }

  /// `end_all` has ended all.
  virtual void all_ended(const caf::error& reason) { quit(reason); }

  /// An actor ended that is monitored but is no child.
  virtual void other_down(const caf::down_msg&) {}

 private:
  struct work;
  class survey;
  using child_ptr = std::shared_ptr<child>;

  template <class Event>
  void tell_parent(const Event& event) {
    if (parent_)
      send(caf::actor_cast<caf::actor>(parent_), event);
  }

  child_ptr add(child_spec spec);
  void forget(const child_ptr& which);
  std::string mistake_in(const child_spec& spec) const;
  child_ptr find(const child_name& which) const;
  std::vector<child_ptr> restarted_with(const child_ptr& failed) const;
  bool is_dynamic() const noexcept { return options_.strategy == strategy::dynamic; }
  bool is_called_off(const child& which) const noexcept;

  /// What is left when all ends is not done, and `asked` answered so.
  void when_free(std::function<void()> what, response_promise asked = {});
  /// `what(promise)` keeps the promise to whoever sent the current message.
  template <class F>
  void answer_when_free(F what) {
    auto promise = make_response_promise();
    when_free([what = std::move(what), promise]() mutable { what(promise); }, promise);
  }
  void perform(work what);
  void proceed();
  enum class asked_by : std::uint8_t { function, message };
  void start_new(const child_ptr& made, asked_by whom, response_promise asked);
  void finish_work(const child_ptr& failed, const caf::error& cause);
  std::vector<std::vector<child_ptr>> ending_order() const;

  void order_end(child& which, bool to_be_restarted);
  caf::error try_start(child& which);
  void began(const caf::strong_actor_ptr& who);
  void down(const caf::down_msg& down);
  void adopt(const orphans& given);
  bool waits_for_orphans(const caf::down_msg& down);
  void ended(const child_ptr& which, const caf::error& reason);
  void restart_after(const child_ptr& failed, const caf::error& reason, bool did_not_start = false);
  void start_again(const child_ptr& failed);
  void start_without(const child_ptr& called_off);
  void call_off_surveys();
  void stop_those_that_wait_for(const child_ptr& failed);
  void set_state(child& which, child_state state);
  child_info describe(const child& which) const;
  void log_of_child(net::log_level level, const std::string& line) const;
  void log_end(const child& which, const caf::error& reason, const char* what_follows) const;
  void log_waiting_end(child& which, const char* what_follows) const;

  const std::string path_;
  const supervisor_options options_;
  std::vector<child_spec> initial_;
  std::vector<caf::strong_actor_ptr> ancestors_;
  caf::strong_actor_ptr parent_; // the first of them, or null
  restart_window window_;
  std::list<child_ptr> children_; // in the order of their start
  std::unordered_map<std::string, child_ptr> by_id_;
  std::unordered_map<caf::actor_id, child_ptr> by_actor_;
  std::unordered_map<caf::actor_id, child_ptr> by_relay_;
  std::unique_ptr<work> at_; // what is being done
  bool proceeding_ = false;
  std::vector<std::shared_ptr<survey>> surveys_; // that wait for answers
  std::size_t busy_ = 0;                         // children that are not stopped
  struct waiting_order {
    std::function<void()> what;
    response_promise asked;
  };
  std::deque<waiting_order> waiting_;
  /// Of a child that was killed and supervised: its end counts when all below it have ended, for until then their ports
  /// and paths are taken.
  struct branch {
    std::size_t left = 0;
    std::optional<caf::down_msg> end;
  };
  std::unordered_map<caf::actor_id, branch> branches_;
  std::unordered_map<caf::actor_id, caf::actor_id> orphans_; // their branches
  std::uint64_t last_number_ = 0;                            // of a child without an id
  bool no_new_sockets_ = false;
  bool killed_all_ = false;
  bool ending_ = false;
};

/// "cannot listen on ENDPOINT: why"; `what` is such as "listen on".
std::string failure_in_words(const char* what, const net::endpoint& where, const caf::error& cause);

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::child_began)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::orphans)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::stand_down)
