// A TCP client that sends a message, finishes, and prints the answer: one actor between three that have bytes.
//   tcp_client                                     `Hello, world!` to 127.0.0.1:9999
//   tcp_client 127.0.0.1:4711 'How are you?'
//   tcp_client 127.0.0.1:4711 - < file             a message of any size
//   tcp_client 127.0.0.1:4711 - --frame=pkg2       each line of stdin as a frame, and each answer as a line
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/standard_streams.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

using frames = std::optional<actnet::net::framing>;

struct conversation : actnet::handler {
  actnet::connection peer;
  std::string remote;
  std::string message;
  caf::actor output;
  caf::actor input; // if the message comes from there
  bool input_open = false;
  frames format;    // each line of input is one, and each frame that comes a line
  std::string line; // not yet ended
  std::uint64_t lines = 0;

  conversation(caf::actor_config& cfg, actnet::connection c, std::string to, std::string text, caf::actor out,
               frames as)
      : handler(cfg),
        peer(std::move(c)),
        remote(std::move(to)),
        message(std::move(text)),
        output(std::move(out)),
        format(std::move(as)) {
    join_program();
    if (format)
      peer.use_codec(format);
  }

  /// Each line with its number as token; the last of a part asks for more.
  void write_lines(std::string_view text) {
    auto next = line + std::string{text};
    std::size_t begin = 0;
    for (auto end = next.find('\n'); end != next.npos; end = next.find('\n', begin)) {
      peer.write(std::string_view{next}.substr(begin, end - begin), ++lines + 1);
      begin = end + 1;
    }
    line = next.substr(begin);
    peer.flush(1); // asks for more when they are through
  }

  caf::behavior make_behavior() override {
    if (message == "-") {
      input = actnet::open_standard_input(this);
      input_open = true;
      send(input, actnet::read_input{});
    } else {
      peer.write(message, format ? ++lines + 1 : 0);
      peer.finish();
    }
    return {
        [this](const actnet::input_read& part) {
          if (format)
            write_lines(part.payload.view());
          else
            peer.write(part.payload, 1);
        },
        [this](const actnet::stream::written& w) { // a failure of the connection is told by `closed` too
          const auto cause = actnet::code_of(w.cause);
          if (cause == actnet::errc::message_too_large || cause == actnet::errc::invalid_argument) {
            fail_program("line " + std::to_string(w.token - 1) + " cannot be a frame: " + actnet::to_text(w.cause));
            peer.abort();
          } else if (!w.cause && w.token == 1 && input_open) {
            send(input, actnet::read_input{});
          }
        },
        [this](const actnet::input_ended& end) {
          input_open = false;
          if (!line.empty())
            peer.write(std::exchange(line, {}), ++lines + 1);
          if (end.complaint.empty())
            return peer.finish();
          fail_program(end.complaint);
          peer.abort();
        },
        [this](const actnet::stream::received& r) {
          if (format)
            send(output, actnet::stream::write{actnet::bytes::copy(std::string{r.payload.view()} + '\n')});
          else
            send(output, actnet::stream::write{r.payload});
        },
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
  actnet::command_line cli{"Sends a message over TCP and prints the answer."};
  cli.add("ENDPOINT", where, "IP:PORT to connect to").shows_default().check(actnet::mistake_in_tcp_endpoint);
  cli.add("MESSAGE", message, "What to send; - stands for standard input").shows_default();

  std::string frame;
  std::size_t frame_max = 0;
  const auto framed = cli.add("--frame", frame,
                              "Send each line of standard input (or MESSAGE) as a frame, and print each answer "
                              "as a line; the formats are those of echo_server")
                          .check(actnet::mistake_in_frame_format);
  cli.add("--frame-max", frame_max,
          "Bytes of a frame; by default 64 KiB for line and delimiter, what pkg1 to pkg4 allow, else 64 MiB")
      .in_range(1, 2'147'483'647)
      .needs(framed);

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
    const auto format = frame.empty() ? frames{} : frames{*actnet::net::framing::parse(frame, frame_max)};
    self.connect_to(where, options).with<conversation>(where, message, actnet::open_standard_output(self), format);
  };
  return actnet::run(cli, argc, argv, converse, program);
}
