// A gateway on NestJS over Fastify, with `@nestjs/platform-socket.io`. The decorators are called by hand, so that no
// compiler is needed.
//
//     node nest.cjs '{"keys":["KEY"],"keyDelay":300,"pingInterval":25000}'
'use strict';

require('reflect-metadata');

const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { FastifyAdapter } = require('@nestjs/platform-fastify');
const { IoAdapter } = require('@nestjs/platform-socket.io');
const { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } = require('@nestjs/websockets');

const { Gateway, control, options, setup } = require('./gateway.cjs');

const gateway = new Gateway(setup);

class EventsGateway {
  handleConnection(socket) {
    return gateway.connected(socket);
  }

  join(socket, body) {
    return gateway.join(socket, body);
  }

  leave(socket, body) {
    return gateway.leave(socket, body);
  }

  message(socket, body) {
    gateway.message(socket, body);
  }
}

const handlers = { join: 'join', leave: 'unsubscribe:profile', message: 'message' };
for (const [method, event] of Object.entries(handlers)) {
  const { prototype } = EventsGateway;
  ConnectedSocket()(prototype, method, 0);
  MessageBody()(prototype, method, 1);
  SubscribeMessage(event)(prototype, method, Object.getOwnPropertyDescriptor(prototype, method));
}
WebSocketServer()(EventsGateway.prototype, 'server');
WebSocketGateway({ namespace: '/ws', cors: { origin: '*' } })(EventsGateway);

class AppModule {}
Module({ providers: [EventsGateway] })(AppModule);

async function start(port) {
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'] });
  app.useWebSocketAdapter(new (class extends IoAdapter {
    createIOServer(port, given) {
      return super.createIOServer(port, { ...given, ...options(setup) });
    }
  })(app));
  await app.listen(port, '127.0.0.1');
  const server = app.getHttpServer();
  const space = app.get(EventsGateway).server;
  return { app, io: space.server, server, port: server.address().port };
}

control(gateway, start, ({ app }) => app.close());
