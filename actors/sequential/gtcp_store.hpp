// The idle connections of a pool, by address.
#pragma once

#include "actnet/actors/sequential/basic_stream.hpp"

#include <cstddef>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace actnet::sequential::gtcp {

/// `Way` as in gtcp_conn.hpp. Any thread.
template <class Way>
class pool_store {
 public:
  using stream = basic_stream<typename Way::dialect>;

  pool_store(typename Way::place from, net::timeout connect_within, net::timeout idle_time)
      : from_(std::move(from)), connect_within_(connect_within), idle_time_(idle_time) {}

  auto connect(const net::endpoint& remote) { return from_.connect(remote, connect_within_); }

  /// The one that was put there last, if any.
  stream take(const net::endpoint& remote) {
    const auto old = take_expired();
    std::lock_guard guard{mutex_};
    const auto found = idle_.find(remote);
    if (found == idle_.end())
      return {};
    auto taken = std::move(found->second.back().what);
    found->second.pop_back();
    if (found->second.empty())
      idle_.erase(found);
    return taken;
  }

  void put(const net::endpoint& remote, stream what) {
    const auto old = take_expired();
    const auto until = net::later(from_.now(), idle_time_);
    std::lock_guard guard{mutex_};
    if (!closed_)
      idle_[remote].push_back({std::move(what), until});
  }

  std::size_t size() {
    std::lock_guard guard{mutex_};
    std::size_t all = 0;
    for (const auto& [remote, there] : idle_)
      all += there.size();
    return all;
  }

  void close() {
    all_idle old;
    std::lock_guard guard{mutex_};
    closed_ = true;
    old.swap(idle_);
  }

 private:
  struct idle {
    stream what;
    net::time_point until;
  };
  using all_idle = std::unordered_map<net::endpoint, std::vector<idle>>;

  /// They are closed when the caller lets go of them.
  std::vector<idle> take_expired() {
    std::vector<idle> old;
    const auto now = from_.now();
    std::lock_guard guard{mutex_};
    for (auto each = idle_.begin(); each != idle_.end();) {
      auto& there = each->second; // in the order of their coming
      while (!there.empty() && there.front().until <= now) {
        old.push_back(std::move(there.front()));
        there.erase(there.begin());
      }
      each = there.empty() ? idle_.erase(each) : std::next(each);
    }
    return old;
  }

  typename Way::place from_;
  net::duration connect_within_;
  net::duration idle_time_;
  std::mutex mutex_;
  all_idle idle_;
  bool closed_ = false;
};

} // namespace actnet::sequential::gtcp
