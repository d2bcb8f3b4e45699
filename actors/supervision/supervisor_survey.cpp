// How a supervisor gathers the tree below it.
#include "actnet/actors/supervision/supervised_child.hpp"
#include "actnet/actors/supervision/tree.hpp"

namespace actnet {

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
    self_.home()->loop().timers().arm(*this, self_.home()->loop().deadline_in(within));
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

} // namespace actnet
