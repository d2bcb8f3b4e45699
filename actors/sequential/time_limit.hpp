// How long an operation may take.
#pragma once

#include "actnet/net/loop/loop.hpp"

#include <chrono>
#include <type_traits>

namespace actnet {

/// Nothing said: as the stream's own deadline says. A duration counts from the operation's beginning.
class time_limit {
 public:
  time_limit() = default;
  template <class Rep, class Period>
  time_limit(std::chrono::duration<Rep, Period> from_now) : in_(from_now), kind_(kind::from_now) {}
  time_limit(net::timeout from_now) : in_(from_now), kind_(kind::from_now) {}
  time_limit(net::time_point at) : at_(at), kind_(kind::at) {}

  /// As long as it takes, whatever the stream's own deadline says.
  static time_limit never() { return net::time_point::max(); }

  /// When it is over, of an operation that begins now.
  net::time_point resolve(const net::loop& home, net::time_point otherwise) const noexcept {
    if (kind_ == kind::at)
      return at_;
    return kind_ == kind::from_now ? home.deadline_in(in_) : otherwise;
  }

 private:
  enum class kind : unsigned char { unset, from_now, at };
  net::time_point at_{};
  net::timeout in_;
  kind kind_ = kind::unset;
};

// g++ 12 destroys a temporary aggregate twice that is given by value to a call which is awaited.
static_assert(!std::is_aggregate_v<time_limit>);

} // namespace actnet
