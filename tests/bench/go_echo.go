// A peer to compare with: Go's net package, a goroutine for each connection and direction. Called like the others;
// GOMAXPROCS in the environment says on how many threads.
package main

import (
	"fmt"
	"net"
	"os"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_echo:", err)
		os.Exit(1)
	}
}

// An echo goes back to where it came from, a proxy's other end is another connection.
func forward(from, to net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 16384)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err = to.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func serve(network, address string, handle func(net.Conn)) {
	listener, err := net.Listen(network, address)
	check(err)
	if network == "unix" {
		fmt.Fprintln(os.Stderr, "listening on unix:"+address)
	} else {
		fmt.Fprintln(os.Stderr, "listening on", listener.Addr())
	}
	for {
		connection, err := listener.Accept() // TCP_NODELAY is Go's default.
		if err == nil {
			go handle(connection)
		}
	}
}

func serveUDP() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	fmt.Fprintln(os.Stderr, "listening on", socket.LocalAddr())
	buffer := make([]byte, 65536)
	for {
		count, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err == nil {
			socket.WriteToUDPAddrPort(buffer[:count], from)
		}
	}
}

func main() {
	echo := func(connection net.Conn) { forward(connection, connection) }
	switch os.Args[1] {
	case "udp":
		serveUDP()
	case "unix":
		serve("unix", os.Args[2], echo)
	case "proxy":
		serve("tcp4", "127.0.0.1:0", func(client net.Conn) {
			server, err := net.Dial("tcp4", "127.0.0.1:"+os.Args[2])
			if err != nil {
				client.Close()
				return
			}
			go forward(server, client)
			forward(client, server)
		})
	default:
		serve("tcp4", "127.0.0.1:0", echo)
	}
}
