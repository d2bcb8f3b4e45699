// A peer to compare with: Node's net and dgram. Called like the others.
'use strict';
const dgram = require('dgram');
const net = require('net');

const [work, where] = process.argv.slice(2);

function say(server) {
  const address = server.address();
  console.error('listening on ' + (address.port ? `127.0.0.1:${address.port}` : `unix:${address}`));
}

function echo(client) {
  client.on('data', (data) => {
    if (!client.write(data)) {
      client.pause();
      client.once('drain', () => client.resume());
    }
  });
  client.on('error', () => client.destroy());
}

function proxy(client) {
  const server = net.connect({ port: Number(where), host: '127.0.0.1', noDelay: true });
  client.pipe(server).pipe(client);
  for (const [one, other] of [[client, server], [server, client]]) {
    one.on('error', () => other.destroy());
  }
}

if (work === 'udp') {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (data, from) => socket.send(data, from.port, from.address));
  socket.bind({ port: 0, address: '127.0.0.1' }, () => say(socket));
} else {
  const server = net.createServer({ noDelay: work !== 'unix' }, work === 'proxy' ? proxy : echo);
  const place = work === 'unix' ? { path: where } : { port: 0, host: '127.0.0.1' };
  server.listen({ ...place, backlog: 4096 }, () => say(server));
}
