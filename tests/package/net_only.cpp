// Prints an endpoint, to show that net/ can be had without actors.
#include <actnet/net/address/endpoint.hpp>

#include <iostream>

int main() {
  const auto parsed = actnet::net::endpoint::parse("127.0.0.1:9999");
  if (!parsed)
    return 1;
  std::cout << parsed->to_string() << "\n";
}
