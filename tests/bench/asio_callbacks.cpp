// A peer to compare with: an echo server on Asio's callbacks, one thread. Usage: asio_callbacks PORT [udp], on
// 127.0.0.1.
#include <sysexits.h>

#include <cstdio>

#if __has_include(<asio.hpp>)
#define ASIO_STANDALONE
#include <array>
#include <asio.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using asio::ip::tcp;
using asio::ip::udp;

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)) { socket_.set_option(tcp::no_delay(true)); }

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](auto error, std::size_t size) {
      if (!error)
        self->write(size);
    });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_, size), [self = shared_from_this()](auto error, std::size_t) {
      if (!error)
        self->read();
    });
  }

  tcp::socket socket_;
  std::array<char, 16384> buffer_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](auto error, tcp::socket socket) {
    if (!error)
      std::make_shared<session>(std::move(socket))->read();
    accept(acceptor);
  });
}

class udp_echo {
 public:
  udp_echo(asio::io_context& context, const udp::endpoint& local) : socket_(context, local) {}

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

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: asio_callbacks PORT [udp]\n", stderr);
    return EX_USAGE;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const auto local = asio::ip::address_v4::loopback();
  asio::io_context context{1};
  if (argc > 2 && std::string_view(argv[2]) == "udp") {
    udp_echo echo(context, {local, port});
    echo.read();
    context.run();
  } else {
    tcp::acceptor acceptor(context, {local, port});
    accept(acceptor);
    context.run();
  }
}

#else

int main() {
  std::fputs("built without Asio, its headers were missing\n", stderr);
  return EX_UNAVAILABLE;
}

#endif
