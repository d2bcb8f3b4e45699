// A peer to compare with: Asio's callbacks, one thread.
#define ASIO_STANDALONE
#include <array>
#include <asio.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "echo_server.hpp"

namespace {

using asio::ip::tcp;
using asio::ip::udp;
using asio::local::stream_protocol;

using chunk = std::array<char, 16384>;

void prepare(tcp::socket& socket) {
  socket.set_option(tcp::no_delay(true));
}
void prepare(stream_protocol::socket&) {}

template <class Protocol>
class echo : public std::enable_shared_from_this<echo<Protocol>> {
 public:
  explicit echo(typename Protocol::socket socket) : socket_(std::move(socket)) {}

  void start() {
    socket_.async_read_some(asio::buffer(buffer_), [self = this->shared_from_this()](auto error, std::size_t size) {
      if (!error)
        self->write(size);
    });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_, size), [self = this->shared_from_this()](auto error, std::size_t) {
      if (!error)
        self->start();
    });
  }

  typename Protocol::socket socket_;
  chunk buffer_;
};

/// A connection of the proxy: ends when either side ends.
class proxied : public std::enable_shared_from_this<proxied> {
 public:
  proxied(tcp::socket client, const tcp::endpoint& upstream)
      : client_(std::move(client)), server_(client_.get_executor()), upstream_(upstream) {}

  void start() {
    server_.async_connect(upstream_, [self = shared_from_this()](auto error) {
      if (error)
        return;
      prepare(self->server_);
      self->read(self->client_, self->server_, self->there_);
      self->read(self->server_, self->client_, self->back_);
    });
  }

 private:
  void read(tcp::socket& from, tcp::socket& to, chunk& buffer) {
    from.async_read_some(asio::buffer(buffer),
                         [self = shared_from_this(), &from, &to, &buffer](auto error, std::size_t size) {
                           if (error)
                             self->close();
                           else
                             self->write(from, to, buffer, size);
                         });
  }

  void write(tcp::socket& from, tcp::socket& to, chunk& buffer, std::size_t size) {
    asio::async_write(to, asio::buffer(buffer, size),
                      [self = shared_from_this(), &from, &to, &buffer](auto error, std::size_t) {
                        if (error)
                          self->close();
                        else
                          self->read(from, to, buffer);
                      });
  }

  void close() {
    asio::error_code ignored;
    client_.close(ignored);
    server_.close(ignored);
  }

  tcp::socket client_;
  tcp::socket server_;
  tcp::endpoint upstream_;
  chunk there_;
  chunk back_;
};

template <class Protocol, class Handle>
void accept(asio::basic_socket_acceptor<Protocol>& acceptor, Handle handle) {
  acceptor.async_accept([&acceptor, handle](auto error, typename Protocol::socket socket) {
    if (!error) {
      prepare(socket);
      handle(std::move(socket));
    }
    accept(acceptor, handle);
  });
}

class udp_echo {
 public:
  udp_echo(asio::io_context& context, const udp::endpoint& local) : socket_(context, local) {}

  int port() const { return socket_.local_endpoint().port(); }

  void read() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](auto error, std::size_t size) {
      if (error)
        return read();
      socket_.async_send_to(asio::buffer(buffer_.data(), size), from_, [this](auto, std::size_t) { read(); });
    });
  }

 private:
  udp::socket socket_;
  udp::endpoint from_;
  std::vector<char> buffer_ = std::vector<char>(65536);
};

std::string version() {
  return "Asio " + std::to_string(ASIO_VERSION / 100000) + "." + std::to_string(ASIO_VERSION / 100 % 1000) + "." +
         std::to_string(ASIO_VERSION % 100);
}

} // namespace

int main(int argc, char** argv) {
  using namespace actnet::bench;
  const auto order = read_server_order(argc, argv, version(), {"tcp", "udp", "unix", "proxy"});
  const auto local = asio::ip::address_v4::loopback();
  asio::io_context context{1};
  if (order.work == "udp") {
    udp_echo server(context, {local, 0});
    server.read();
    say_listening_on_port(server.port());
    context.run();
  } else if (order.work == "unix") {
    stream_protocol::acceptor acceptor(context, order.unix_path);
    accept(acceptor, [](stream_protocol::socket s) { std::make_shared<echo<stream_protocol>>(std::move(s))->start(); });
    say_listening_on_path(order.unix_path);
    context.run();
  } else {
    tcp::acceptor acceptor(context, {local, 0});
    if (order.work == "proxy")
      accept(acceptor, [to = tcp::endpoint(local, order.upstream_port)](tcp::socket s) {
        std::make_shared<proxied>(std::move(s), to)->start();
      });
    else
      accept(acceptor, [](tcp::socket s) { std::make_shared<echo<tcp>>(std::move(s))->start(); });
    say_listening_on_port(acceptor.local_endpoint().port());
    context.run();
  }
}
