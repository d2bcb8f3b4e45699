// How an operation is waited for in a thread.
#pragma once

#include "actnet/actors/sequential/basic_stream.hpp"

#include <functional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace actnet::blocking {

/// Carries `what` out on its loop and waits for its end. In the thread of a loop it fails with `would_block_the_loop`:
/// that loop would stand still. When `stop` is asked for, it is called off with `cancelled`.
void wait_for(sequential::operation& what, const std::stop_token& stop = {});

struct dialect {
  template <class Operation, class Convert = sequential::as_it_is, class... Args>
  static auto perform(Args&&... args) {
    Operation what{std::forward<Args>(args)...};
    wait_for(what);
    return converted<Convert>(what.take());
  }

  static result<sequential::basic_server<dialect>> listen(caf::actor_system& system, endpoint_argument local);
  static result<sequential::basic_server<dialect>> listen(caf::actor_system& system, endpoint_argument local,
                                                          listen_options options);
  static result<sequential::basic_stream<dialect>> connect(caf::actor_system& system, endpoint_argument remote,
                                                           time_limit within = {}, const std::stop_token& stop = {});
  static result<sequential::basic_stream<dialect>> connect(caf::actor_system& system, endpoint_argument remote,
                                                           connect_options options, time_limit within = {},
                                                           const std::stop_token& stop = {});
  static result<sequential::basic_stream<dialect>> adopt(caf::actor_system& system, int descriptor);
  static result<sequential::basic_datagram_socket<dialect>> bind(caf::actor_system& system, endpoint_argument local);
  static result<sequential::basic_datagram_socket<dialect>> bind(caf::actor_system& system, endpoint_argument local,
                                                                 bind_options options);

 private:
  template <class Convert, class T>
  static auto converted(result<T> outcome) {
    if constexpr (std::is_void_v<T>) {
      return outcome;
    } else {
      using value = std::invoke_result_t<Convert, T>;
      if (!outcome)
        return result<value>{failed(outcome.error())};
      return result<value>{Convert{}(std::move(*outcome))};
    }
  }
};

} // namespace actnet::blocking
