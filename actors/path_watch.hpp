// Notices that the file of a Unix socket was moved or removed: the socket lives on, and nobody finds it any more.
#pragma once

#include "actnet/net/log.hpp"
#include "actnet/net/loop/loop.hpp"
#include "actnet/net/socket/socket.hpp"

#include <chrono>

namespace actnet {

/// Looks once a minute, and logs it once. In the thread of `home`, which it must not outlive, nor the socket.
class path_watch final : public net::timer {
 public:
  path_watch(net::loop& home, const net::socket& whose) : home_(home), whose_(whose) { again(); }
  ~path_watch() override { home_.timers().cancel(*this); }

 private:
  void again() { home_.timers().arm(*this, net::later(home_.now(), std::chrono::minutes{1})); }

  void on_timer(net::time_point) noexcept override {
    if (!whose_.path().is_lost())
      again();
    else if (const auto local = whose_.local_endpoint())
      net::log(net::log_level::warning, "unix-path",
               local->to_string() + ": the socket's file was moved or removed, and nobody finds it any more");
  }

  net::loop& home_;
  const net::socket& whose_;
};

} // namespace actnet
