#include "actnet/actors/blocking/gtcp.hpp"

#include "actnet/net/log.hpp"

#include <exception>
#include <string>

namespace actnet::blocking::gtcp {

namespace {

template <class T, class Work>
result<T> once(caf::actor_system& system, endpoint_argument remote, std::optional<net::duration> within, Work work) {
  return sequential::gtcp::once<detail::way, T>(system, std::move(remote), within, std::move(work)).get();
}

void complain(const std::string& what) {
  net::log_limited(net::log_level::error, "server", what);
}

} // namespace

net::time_point detail::place::now() const noexcept {
  return loops::of(*system_).at(0).loop().time().now();
}

/// The interval of a retry, in the caller's thread: on a loop's timer it would never end if that loop did.
result<void> detail::way::sleep(net::timeout time) {
  std::this_thread::sleep_for(net::duration{time});
  return {};
}

result<conn> detail::way::connect(caf::actor_system& system, endpoint_argument remote, time_limit within) {
  auto made = stream_socket::connect(system, std::move(remote), within);
  if (!made)
    return failed(made.error());
  return conn{std::move(*made)};
}

result<conn> detail::way::adopt(caf::actor_system& system, int descriptor) {
  auto made = stream_socket::adopt(system, descriptor);
  if (!made)
    return failed(made.error());
  return conn{std::move(*made)};
}

// -- the server --------------------------------------------------------------------------------------

result<void> server::run(endpoint_argument local, handler each) {
  if (auto done = listen(std::move(local)); !done)
    return done;
  return run(std::move(each));
}

result<void> server::listen(endpoint_argument local) {
  auto made = tcp_server::bind(system_, std::move(local));
  if (!made)
    return failed(made.error());
  std::lock_guard guard{mutex_};
  listening_ = std::move(*made);
  local_ = listening_.local_endpoint();
  if (stopped_)
    listening_.stopper().stop();
  return {};
}

result<void> server::run(handler each) {
  if (!listening_)
    return failed(errc::not_connected);
  caf::error cause;
  for (;;) {
    auto peer = listening_.accept();
    if (!peer) {
      cause = peer.error();
      break;
    }
    join_ended(false);
    handle(std::move(*peer), each);
  }
  (void)listening_.close();
  join_ended(true);
  if (cause == errc::interrupted)
    return {};
  return failed(cause);
}

void server::stop() {
  std::lock_guard guard{mutex_};
  stopped_ = true;
  if (listening_)
    listening_.stopper().stop();
}

void server::close() {
  stop();
  std::lock_guard guard{mutex_};
  closed_ = true;
  for (const auto& each : workers_)
    each.peer.close();
}

std::optional<net::endpoint> server::address() const {
  std::lock_guard guard{mutex_};
  return local_;
}

int server::listened_port() const {
  const auto local = address();
  return local && local->is_ip() ? local->port() : -1;
}

void server::handle(stream_socket peer, const handler& each) {
  std::lock_guard guard{mutex_};
  if (closed_)
    return;
  auto& mine = workers_.emplace_back();
  mine.peer = peer.as_connection();
  const auto given = std::make_shared<stream_socket>(std::move(peer));
  auto begun = net::start_thread("actnet.gtcp", [this, &mine, &each, given] {
    try {
      conn held{std::move(*given)};
      each(held);
    } catch (...) {
      complain("a handler ended by an exception: " + to_text(std::current_exception()));
    }
    std::lock_guard ending{mutex_};
    mine.ended = true;
    worker_ended_.notify_one();
  });
  if (begun) {
    mine.thread = std::move(*begun);
    return;
  }
  mine.peer.abort(); // before `given` goes, which would close it
  workers_.pop_back();
  complain("no thread for a connection, which is reset: " + begun.error().message());
}

/// `all`: waits for them.
void server::join_ended(bool all) {
  std::list<worker> gone;
  std::unique_lock lock{mutex_};
  for (auto next = workers_.begin(); next != workers_.end();) {
    const auto each = next++;
    worker_ended_.wait(lock, [&] { return each->ended || !all; });
    if (each->ended)
      gone.splice(gone.end(), workers_, each);
  }
  lock.unlock();
  for (auto& each : gone)
    each.thread->join();
}

// -- one-shots ---------------------------------------------------------------------------------------

result<std::uint64_t> send(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                           const retry& again) {
  return once<std::uint64_t>(system, std::move(remote), {},
                             [&](conn& peer, net::duration) { return peer.send(data, again); });
}

result<std::uint64_t> send_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                        net::timeout within, const retry& again) {
  return once<std::uint64_t>(system, std::move(remote), within,
                             [&](conn& peer, net::duration left) { return peer.send_with_timeout(data, left, again); });
}

result<net::bytes> send_recv(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                             std::int64_t length, const retry& again) {
  return once<net::bytes>(system, std::move(remote), {},
                          [&](conn& peer, net::duration) { return peer.send_recv(data, length, again); });
}

result<net::bytes> send_recv_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                          std::int64_t length, net::timeout within, const retry& again) {
  return once<net::bytes>(system, std::move(remote), within, [&](conn& peer, net::duration left) {
    return peer.send_recv_with_timeout(data, length, left, again);
  });
}

result<std::uint64_t> send_pkg(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                               const pkg_option& option) {
  return once<std::uint64_t>(system, std::move(remote), {},
                             [&](conn& peer, net::duration) { return peer.send_pkg(data, option); });
}

result<std::uint64_t> send_pkg_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                            net::timeout within, const pkg_option& option) {
  return once<std::uint64_t>(system, std::move(remote), within, [&](conn& peer, net::duration left) {
    return peer.send_pkg_with_timeout(data, left, option);
  });
}

result<net::bytes> send_recv_pkg(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                 const pkg_option& option) {
  return once<net::bytes>(system, std::move(remote), {},
                          [&](conn& peer, net::duration) { return peer.send_recv_pkg(data, option); });
}

result<net::bytes> send_recv_pkg_with_timeout(caf::actor_system& system, endpoint_argument remote,
                                              std::string_view data, net::timeout within, const pkg_option& option) {
  return once<net::bytes>(system, std::move(remote), within, [&](conn& peer, net::duration left) {
    return peer.send_recv_pkg_with_timeout(data, left, option);
  });
}

} // namespace actnet::blocking::gtcp
