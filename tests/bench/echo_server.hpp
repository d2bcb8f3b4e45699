// How a server under test is called: PROGRAM tcp | udp | unix PATH | proxy PORT | version. It serves on 127.0.0.1, on
// whatever port is free, and says so in one line on stderr; a proxy connects to 127.0.0.1:PORT for each connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

namespace actnet::bench {

struct server_order {
  std::string_view work;
  std::string unix_path;
  std::uint16_t upstream_port = 0;
};

/// Ends the process after `version`, or with 2 when it is called for anything but `works`.
inline server_order read_server_order(int argc, char** argv, const std::string& version,
                                      std::initializer_list<std::string_view> works) {
  server_order order;
  order.work = argc > 1 ? argv[1] : "";
  if (order.work == "version") {
    std::puts(version.c_str());
    std::exit(0);
  }
  const int wanted = order.work == "unix" || order.work == "proxy" ? 3 : 2;
  if (argc != wanted || std::ranges::find(works, order.work) == works.end()) {
    std::fputs("usage: tcp | udp | unix PATH | proxy PORT | version, as far as there is such a server\n", stderr);
    std::exit(2);
  }
  if (order.work == "unix")
    order.unix_path = argv[2];
  else if (order.work == "proxy")
    order.upstream_port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  return order;
}

inline void say_listening_on_port(int port) {
  std::fprintf(stderr, "listening on 127.0.0.1:%d\n", port);
}

inline void say_listening_on_path(const std::string& path) {
  std::fprintf(stderr, "listening on unix:%s\n", path.c_str());
}

} // namespace actnet::bench
