#include "actnet/actors/standard_streams.hpp"

#include "actnet/actors/run.hpp"

#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/descriptor.hpp"

#include <unistd.h>

#include <string>
#include <vector>

using namespace actnet::test;
using actnet::main_actor;

namespace {

struct pipe_ends {
  descriptor read;
  descriptor write;

  pipe_ends() {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

int run(actnet::main_function fun) {
  actnet::run_options options;
  options.program = "test";
  options.settings.loops.count = 1;
  return actnet::run_program(std::move(options), std::move(fun));
}

} // namespace

TEST_CASE("a flush of standard output is answered when all before it is written", "[standard_streams]") {
  baseline before;
  pipe_ends output;
  std::vector<std::uint64_t> tokens;
  std::uint64_t requested = 0;
  const auto code = run([&](main_actor& self) -> caf::behavior {
    const auto actor = actnet::open_standard_output(self, output.write.fd());
    self.send(actor, actnet::stream::write{actnet::bytes::copy("one ")});
    self.send(actor, actnet::stream::write{actnet::bytes::copy("two"), 1});
    self.send(actor, actnet::stream::flush{2});
    return {[&self, &tokens, &requested, actor](const actnet::stream::written& w) {
      CHECK_FALSE(w.cause);
      tokens.push_back(w.token);
      if (w.token == 2)
        self.request(actor, caf::infinite, actnet::stream::flush{3})
            .then([&self, &requested](const actnet::stream::written& last) {
              requested = last.token;
              self.stop_program();
            });
    }};
  });
  CHECK(code == 0);
  CHECK(tokens == std::vector<std::uint64_t>{1, 2});
  CHECK(requested == 3);
  std::string text(100, '\0');
  CHECK(::read(output.read.fd(), text.data(), text.size()) == 7);
  CHECK(text.substr(0, 7) == "one two");
}

TEST_CASE("standard input is read when asked, and ends where one would have to wait once told so",
          "[standard_streams]") {
  baseline before;
  pipe_ends input;
  REQUIRE(::write(input.write.fd(), "words", 5) == 5);
  std::string text;
  const auto code = run([&](main_actor& self) -> caf::behavior {
    const auto actor = actnet::open_standard_input(&self, input.read.fd());
    self.send(actor, actnet::read_input{});
    return {
        [&self, &text, actor](const actnet::input_read& part) {
          text += part.payload.view();
          self.send(actor, actnet::read_input{}); // waits
          self.send(actor, actnet::finish_input{});
        },
        [&self, &text](const actnet::input_ended& end) {
          text += "." + end.complaint;
          self.stop_program();
        },
    };
  });
  CHECK(code == 0);
  CHECK(text == "words.");
}

TEST_CASE("standard input that waits ends with its owner", "[standard_streams]") {
  baseline before;
  pipe_ends input;
  CHECK(run([&](main_actor& self) {
          self.send(actnet::open_standard_input(&self, input.read.fd()), actnet::read_input{});
          return caf::behavior{};
        }) == 0);
}
