// A TCP client that sends a message, finishes, and prints the answer: one actor between three that have bytes.
//   tcp_client                                     `Hello, world!` to 127.0.0.1:9999
//   tcp_client 127.0.0.1:4711 'How are you?'
//   tcp_client 127.0.0.1:4711 - < file             a message of any size
#include "actnet/actors/actors.hpp"
#include "actnet/actors/standard_streams.hpp"

#include <CLI/CLI.hpp>

#include <string>

namespace {

struct conversation : actnet::handler {
  actnet::connection peer;
  std::string remote;
  std::string message;
  caf::actor output;
  caf::actor input; // if the message comes from there
  bool input_open = false;

  conversation(caf::actor_config& cfg, actnet::connection c, std::string to, std::string text, caf::actor out)
      : handler(cfg), peer(std::move(c)), remote(std::move(to)), message(std::move(text)), output(std::move(out)) {
    join_program();
  }

  caf::behavior make_behavior() override {
    if (message == "-") {
      input = actnet::open_standard_input(this);
      input_open = true;
      send(input, actnet::read_input{});
    } else {
      peer.write(message);
      peer.finish();
    }
    return {
        [this](const actnet::input_read& part) { peer.write(part.payload, 1); },
        [this](const actnet::stream::written& w) { // a failure is told by `closed` too
          if (!w.cause && input_open)
            send(input, actnet::read_input{});
        },
        [this](const actnet::input_ended& end) {
          input_open = false;
          if (end.complaint.empty())
            return peer.finish();
          fail_program(end.complaint);
          peer.abort();
        },
        [this](const actnet::stream::received& r) { send(output, actnet::stream::write{r.payload}); },
        [this](const actnet::stream::peer_finished&) { // nothing more to wait for
          if (input_open)
            send(input, actnet::finish_input{});
        },
        [this](const actnet::drain&) { peer.close(); },
        [this](const actnet::stream::closed& c) {
          if (c.cause && c.reason != actnet::close_reason::requested)
            fail_program("the connection to " + remote + " broke: " + actnet::to_text(c.cause));
          quit();
        },
    };
  }

  void on_exit() override { input = nullptr; }
};

} // namespace

int main(int argc, char** argv) {
  std::string where = "127.0.0.1:9999";
  std::string message = "Hello, world!";
  CLI::App cli{"Sends a message over TCP and prints the answer."};
  cli.add_option("ENDPOINT", where, "IP:PORT to connect to")
      ->capture_default_str()
      ->check(actnet::mistake_in_tcp_endpoint);
  cli.add_option("MESSAGE", message, "What to send; - stands for standard input")->capture_default_str();

  actnet::run_options program;
  program.settings.loops.count = 1;
  program.settings.drain_deadline = std::chrono::seconds{1};
  const auto converse = [&](actnet::main_actor& self) {
    auto options = self.settings().client;
    options.connection.allow_half_open = true;
    options.connection.write_stall =
        std::chrono::milliseconds{0}; // the server may take its time, and so may the reader
    options.connection.credit_stall_warning = std::chrono::milliseconds{0};
    options.connection.credit_stall_limit = std::chrono::milliseconds{0};
    options.connection.close_timeout = std::chrono::milliseconds{250}; // closing is what a signal does
    self.connect_to(where, options).with<conversation>(where, message, actnet::open_standard_output(self));
  };
  return actnet::run(cli, argc, argv, converse, program);
}
