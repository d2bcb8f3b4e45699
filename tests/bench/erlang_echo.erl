%% A peer to compare with: Erlang's gen_tcp and gen_udp, a process for each connection. Called like the others. Reads
%% are of up to 64 KiB, and {active, N} keeps a flood from filling the mailbox.
-module(erlang_echo).
-export([main/1]).

-define(LOCAL, {127, 0, 0, 1}).
-define(BURST, 100).

main(["tcp"]) -> serve(0, [{ip, ?LOCAL}, {nodelay, true}], fun(Socket) -> Socket end);
main(["unix", Path]) -> serve(0, [{ifaddr, {local, Path}}], fun(Socket) -> Socket end);
main(["proxy", Port]) ->
    Upstream = list_to_integer(Port),
    serve(0, [{ip, ?LOCAL}, {nodelay, true}], fun(_) ->
        {ok, Server} = gen_tcp:connect(?LOCAL, Upstream, [{nodelay, true} | options()]),
        Server
    end);
main(["udp"]) ->
    {ok, Socket} = gen_udp:open(0, [binary, {ip, ?LOCAL}, {active, ?BURST}, {recbuf, 1048576}]),
    say(Socket),
    datagrams(Socket).

options() -> [binary, {packet, raw}, {active, false}, {buffer, 65536}].

serve(Port, Where, Other) ->
    {ok, Listener} = gen_tcp:listen(Port, [{backlog, 4096} | Where ++ options()]),
    say(Listener),
    accept(Listener, Other).

say(Socket) ->
    case inet:sockname(Socket) of
        {ok, {local, Path}} -> io:format(standard_error, "listening on unix:~s~n", [Path]);
        {ok, {_, Port}} -> io:format(standard_error, "listening on 127.0.0.1:~b~n", [Port])
    end.

accept(Listener, Other) ->
    {ok, Client} = gen_tcp:accept(Listener),
    Owner = spawn(fun() -> receive go -> start(Client, Other(Client)) end end),
    ok = gen_tcp:controlling_process(Client, Owner),
    Owner ! go,
    accept(Listener, Other).

%% What comes from one socket goes to the other; an echo has the same one twice.
start(Client, Server) ->
    [inet:setopts(Socket, [{active, ?BURST}]) || Socket <- lists:usort([Client, Server])],
    forward(Client, Server).

forward(Client, Server) ->
    receive
        {tcp, Client, Data} -> send(Server, Data, Client, Server);
        {tcp, Server, Data} -> send(Client, Data, Client, Server);
        {tcp_passive, Socket} ->
            inet:setopts(Socket, [{active, ?BURST}]),
            forward(Client, Server);
        {tcp_closed, _} -> close(Client, Server);
        {tcp_error, _, _} -> close(Client, Server)
    end.

send(To, Data, Client, Server) ->
    case gen_tcp:send(To, Data) of
        ok -> forward(Client, Server);
        {error, _} -> close(Client, Server)
    end.

close(Client, Server) ->
    gen_tcp:close(Client),
    gen_tcp:close(Server).

datagrams(Socket) ->
    receive
        {udp, Socket, Address, Port, Data} -> gen_udp:send(Socket, Address, Port, Data);
        {udp_passive, Socket} -> inet:setopts(Socket, [{active, ?BURST}])
    end,
    datagrams(Socket).
