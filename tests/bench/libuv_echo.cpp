// A peer to compare with: libuv, one loop. Reads into one shared buffer, writes at once, and queues only what is left.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <uv.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "echo_server.hpp"

namespace {

constexpr int backlog = 4096;

std::array<char, 65536> buffer;
std::uint16_t upstream_port; // 0: echo

void check(int error, const char* what) {
  if (error == 0)
    return;
  std::fprintf(stderr, "libuv_echo: %s: %s\n", what, uv_strerror(error));
  std::exit(1);
}

/// One end of a connection; what is read here is written `to` itself, or to a proxy's other end.
struct end {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  end* to = this;
  uv_connect_t connecting;

  end(uv_loop_t* loop, uv_handle_type type) {
    if (type == UV_TCP)
      uv_tcp_init(loop, &tcp);
    else
      uv_pipe_init(loop, &pipe, 0);
    handle.data = this;
  }
};

struct rest {
  uv_write_t request;
  std::vector<char> bytes;
};

void close(end* one) {
  for (end* each : {one, one->to})
    if (uv_is_closing(&each->handle) == 0)
      uv_close(&each->handle, [](uv_handle_t* handle) { delete static_cast<end*>(handle->data); });
}

void give_buffer(uv_handle_t*, std::size_t, uv_buf_t* given) {
  *given = uv_buf_init(buffer.data(), buffer.size());
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* got) {
  auto* from = static_cast<end*>(stream->data);
  if (count < 0)
    return close(from);
  auto out = uv_buf_init(got->base, static_cast<unsigned>(count));
  int written = count == 0 ? 0 : uv_try_write(&from->to->stream, &out, 1);
  if (written == UV_EAGAIN)
    written = 0;
  if (written < 0)
    return close(from);
  if (written == count)
    return;
  auto* left = new rest{{}, {got->base + written, got->base + count}};
  left->request.data = left;
  out = uv_buf_init(left->bytes.data(), static_cast<unsigned>(left->bytes.size()));
  uv_write(&left->request, &from->to->stream, &out, 1,
           [](uv_write_t* done, int) { delete static_cast<rest*>(done->data); });
}

void connect_upstream(end* client) {
  auto* server = new end(client->handle.loop, UV_TCP);
  client->to = server;
  server->to = client;
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", upstream_port, &address);
  uv_tcp_nodelay(&server->tcp, 1);
  check(uv_tcp_connect(&server->connecting, &server->tcp, reinterpret_cast<const sockaddr*>(&address),
                       [](uv_connect_t* request, int error) {
                         auto* connected = static_cast<end*>(request->handle->data);
                         if (error != 0)
                           return close(connected);
                         uv_read_start(&connected->stream, give_buffer, on_read);
                         uv_read_start(&connected->to->stream, give_buffer, on_read);
                       }),
        "connect");
}

void on_connection(uv_stream_t* listener, int error) {
  if (error != 0)
    return;
  auto* client = new end(listener->loop, listener->type);
  if (uv_accept(listener, &client->stream) != 0)
    return close(client);
  if (listener->type == UV_TCP)
    uv_tcp_nodelay(&client->tcp, 1);
  if (upstream_port != 0)
    connect_upstream(client);
  else
    uv_read_start(&client->stream, give_buffer, on_read);
}

void on_datagram(uv_udp_t* socket, ssize_t count, const uv_buf_t* got, const sockaddr* from, unsigned) {
  if (count < 0 || from == nullptr)
    return;
  const auto out = uv_buf_init(got->base, static_cast<unsigned>(count));
  uv_udp_try_send(socket, &out, 1, from);
}

template <class Handle>
void say_port(const Handle& handle, int (*name_of)(const Handle*, sockaddr*, int*)) {
  sockaddr_in address{};
  int size = sizeof address;
  check(name_of(&handle, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  actnet::bench::say_listening_on_port(ntohs(address.sin_port));
}

} // namespace

int main(int argc, char** argv) {
  const auto order = actnet::bench::read_server_order(argc, argv, std::string("libuv ") + uv_version_string(),
                                                      {"tcp", "udp", "unix", "proxy"});
  upstream_port = order.upstream_port;
  signal(SIGPIPE, SIG_IGN); // It writes to Unix sockets without MSG_NOSIGNAL.
  uv_loop_t* loop = uv_default_loop();
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  const auto* local = reinterpret_cast<const sockaddr*>(&address);
  uv_udp_t socket;
  uv_pipe_t pipe;
  uv_tcp_t tcp;
  if (order.work == "udp") {
    uv_udp_init(loop, &socket);
    check(uv_udp_bind(&socket, local, 0), "bind");
    check(uv_udp_recv_start(&socket, give_buffer, on_datagram), "receive");
    say_port(socket, uv_udp_getsockname);
  } else if (order.work == "unix") {
    uv_pipe_init(loop, &pipe, 0);
    check(uv_pipe_bind(&pipe, order.unix_path.c_str()), "bind");
    check(uv_listen(reinterpret_cast<uv_stream_t*>(&pipe), backlog, on_connection), "listen");
    actnet::bench::say_listening_on_path(order.unix_path);
  } else {
    uv_tcp_init(loop, &tcp);
    check(uv_tcp_bind(&tcp, local, 0), "bind");
    check(uv_listen(reinterpret_cast<uv_stream_t*>(&tcp), backlog, on_connection), "listen");
    say_port(tcp, uv_tcp_getsockname);
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}
