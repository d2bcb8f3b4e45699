// What a supervisor is told, and how it answers.
#include "actnet/actors/supervision/supervised_child.hpp"
#include "actnet/actors/supervision/tree.hpp"

namespace actnet {

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
          start_new(add(std::move(spec)), asked_by::message, std::move(promise));
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
              promise.deliver(found->public_handle());
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
      [this](const listening& l) { tell_parent(l); },
      [this](const bound& b) { tell_parent(b); },
      [this](const connections_alarm& alarm) { tell_parent(alarm); },
      [this](const listen_failed& f) { failed_to_open(failure_in_words("listen on", f.local, f.cause)); },
      [this](const bind_failed& f) { failed_to_open(failure_in_words("bind", f.local, f.cause)); },
      [](const listener_closed&) {},
      [](const datagram::closed&) {},
  };
}

} // namespace actnet
