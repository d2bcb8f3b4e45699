// What can be done with a stream, each as one operation.
#pragma once

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/sequential/stream_owner.hpp"
#include "actnet/actors/sequential/time_limit.hpp"
#include "actnet/net/bytes/file_source.hpp"
#include "actnet/net/connection/pull_reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace actnet::sequential {

/// Which read it is.
class read_request {
 public:
  using kind = net::pull::kind;

  read_request(kind which, std::size_t count) noexcept : what(which), size(count) {}
  static read_request until(std::string_view delimiter, std::size_t max) {
    read_request made{kind::until, max};
    made.delimiter = net::bytes::copy(delimiter);
    return made;
  }
  static read_request line(std::size_t max) {
    auto made = until("\n", max);
    made.keep_delimiter = false;
    return made;
  }
  static read_request quiet(net::timeout gap, std::size_t max) {
    read_request made{kind::quiet, max};
    made.gap = gap;
    return made;
  }

  kind what;
  std::size_t size;
  net::bytes delimiter;
  bool keep_delimiter = true;
  net::timeout gap;
};

class read_operation final : public stream_operation<net::bytes>, private net::pull {
 public:
  /// `otherwise`: the stream's own deadline.
  read_operation(caf::strong_actor_ptr of, read_request which, time_limit within, net::time_point otherwise);

  void call_off() noexcept override { connection().withdraw(static_cast<net::pull&>(*this)); }
  void undo() noexcept override;

 private:
  void begin() noexcept override;
  void on_pulled(net::bytes payload, std::error_code cause) noexcept override;

  time_limit within_;
  net::time_point otherwise_;
};

/// Its value is how many bytes are in the kernel's send buffer: all of them. An error carries how many went before it.
class write_operation final : public stream_operation<std::uint64_t>, private write_waiter, private net::timer {
 public:
  /// None: a flush.
  write_operation(caf::strong_actor_ptr of, std::optional<net::bytes> payload, time_limit within,
                  net::time_point otherwise);
  write_operation(caf::strong_actor_ptr of, std::unique_ptr<net::file_source> file, time_limit within,
                  net::time_point otherwise);

  void call_off() noexcept override;

 private:
  void begin() noexcept override;
  void on_written(std::uint64_t count, std::error_code cause) noexcept override;
  void on_timer(net::time_point now) noexcept override;

  std::optional<net::bytes> payload_;
  std::unique_ptr<net::file_source> file_;
  time_limit within_;
  net::time_point otherwise_;
};

class finish_operation final : public stream_operation<void>, private write_waiter {
 public:
  using stream_operation::stream_operation;
  void call_off() noexcept override { connection().forget(*this); }

 private:
  void begin() noexcept override { connection().finish(*this); }
  void on_written(std::uint64_t, std::error_code cause) noexcept override;
};

template <class T>
struct plain_of {
  using type = T;
};
template <class T>
struct plain_of<result<T>> {
  using type = T;
};
template <class T>
using plain = typename plain_of<T>::type;

/// Calls a function with the connection, and is done: with its value, or with the `result` it gives.
template <class F>
class call_operation final : public stream_operation<plain<std::invoke_result_t<F, connection_actor&>>> {
  using value = std::invoke_result_t<F, connection_actor&>;

 public:
  call_operation(caf::strong_actor_ptr of, F what)
      : stream_operation<plain<value>>(std::move(of)), what_(std::move(what)) {}
  void call_off() noexcept override {}

 private:
  void begin() noexcept override {
    if constexpr (std::is_void_v<value>) {
      what_(this->connection());
      this->finish({});
    } else {
      this->finish(what_(this->connection()));
    }
  }
  F what_;
};

} // namespace actnet::sequential
