// A gateway on the package `socket.io` alone.
//
//     node socketio.cjs '{"keys":["KEY"],"keyDelay":300,"pingInterval":25000,"namespace":"/ws","connectError":null}'
'use strict';

const { createServer } = require('node:http');

const { Server } = require('socket.io');

const { Gateway, control, options, setup } = require('./gateway.cjs');

const gateway = new Gateway(setup);

async function start(port) {
  const server = createServer();
  const io = new Server(server, options(setup));
  const space = io.of(setup.namespace ?? '/ws');
  space.use((socket, next) => next(setup.connectError ? new Error(setup.connectError) : undefined));
  space.on('connection', (socket) => {
    socket.on('join', (body, acknowledge) => {
      const answer = gateway.join(socket, body);
      if (answer) acknowledge?.(answer);
    });
    socket.on('unsubscribe:profile', (body, acknowledge) => acknowledge?.(gateway.leave(socket, body)));
    socket.on('message', (body) => gateway.message(socket, body));
    gateway.connected(socket);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { io, server, port: server.address().port };
}

control(gateway, start, ({ io }) => io.close());
