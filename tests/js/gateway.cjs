// The gateway of the socket.io dialect: what its namespace `/ws` does, whatever carries it. socketio.cjs and nest.cjs are
// the two programs. See docs/protocol.md, and testkit/src/behavior/gateways.rs for the lines that they print and read.
'use strict';

const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

const say = (said) => console.log(JSON.stringify(said));
const now = () => new Date().toISOString();

class Gateway {
  constructor(setup) {
    // keyDelay: ms that the key takes to be looked up. forbidden: profiles without rights. unanswered: joins whose
    // acknowledgement is lost. close: a refused key closes the transport. silentPing: no `pong` for the application.
    this.setup = { keys: [], keyDelay: 300, forbidden: [], unanswered: 0, close: false, silentPing: false, ...setup };
    this.ready = new WeakSet();
  }

  // The key is looked up after the CONNECT was acknowledged.
  async connected(socket) {
    const { auth, headers, query } = socket.handshake;
    const key = auth.apiKey ?? headers['x-api-key'] ?? query.apiKey;
    say({ connected: socket.id, auth, url: socket.request.url, headers });
    socket.conn.transport.socket.on('close', (code) => say({ left: code }));
    socket.on('disconnect', (reason) => say({ disconnected: reason }));
    await sleep(this.setup.keyDelay);
    socket.data.key = key;
    if (!this.knows(key)) return this.refuse(socket);
    this.ready.add(socket);
    socket.emit('message', {
      type: 'ack',
      payload: { message: 'Connected to MultiWA WebSocket API', clientId: socket.id, timestamp: now() },
    });
  }

  knows(key) {
    return this.setup.keys.length === 0 || this.setup.keys.includes(key);
  }

  refuse(socket) {
    if (this.setup.close) return socket.conn.close();
    socket.disconnect();
  }

  // Returns the acknowledgement, or nothing when it is lost.
  join(socket, { profileId } = {}) {
    const allowed = this.ready.has(socket) && !this.setup.forbidden.includes(profileId);
    say({ join: profileId, allowed });
    if (!allowed) return { success: false, error: 'Forbidden' };
    socket.join(`profile:${profileId}`);
    if (this.setup.unanswered > 0) {
      this.setup.unanswered -= 1;
      return undefined;
    }
    return { success: true, profileId };
  }

  leave(socket, { profileId } = {}) {
    say({ leave: profileId });
    socket.leave(`profile:${profileId}`);
    return { success: true, profileId };
  }

  // The documented envelopes, beside the joins.
  message(socket, { type, payload, requestId } = {}) {
    say({ envelope: type });
    const reply = (type, payload) => socket.emit('message', { type, payload, requestId });
    if (type === 'subscribe') return reply('ack', { action: 'subscribed', ...payload });
    if (type === 'unsubscribe') return reply('ack', { action: 'unsubscribed' });
    if (type !== 'ping') return reply('error', { error: 'Unknown message type' });
    if (!this.setup.silentPing) reply('pong', { timestamp: now() });
  }
}

// A value in which each {"$bytes": "BASE64"} is binary.
function withBytes(value) {
  if (Array.isArray(value)) return value.map(withBytes);
  if (value === null || typeof value !== 'object') return value;
  if ('$bytes' in value) return Buffer.from(value.$bytes, 'base64');
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withBytes(member)]));
}

// The orders of the test. `start(port)` listens and returns {io, server, port}; `stop()` closes the listener.
async function control(gateway, start, stop) {
  let running = await start(0);

  async function obey(order) {
    const space = running.io.of('/ws');
    if (order.setup) Object.assign(gateway.setup, order.setup);
    if (order.emit) {
      const [name, argument] = order.emit;
      const target = order.profile === undefined ? space : space.to(`profile:${order.profile}`);
      // As many characters, since a line of stdin would be long.
      const value = order.filler ? { ...argument, filler: 'x'.repeat(order.filler) } : withBytes(argument);
      target.emit(name, value);
    }
    if (order.keys) {
      gateway.setup.keys = order.keys;
      for (const socket of space.sockets.values()) {
        if (!gateway.knows(socket.data.key)) gateway.refuse(socket);
      }
    }
    // The server's timer for its next ping.
    if (order.stopHeartbeat) {
      for (const socket of space.sockets.values()) clearTimeout(socket.conn.pingIntervalTimer);
    }
    if (order.goAway) space.disconnectSockets(false);
    if (order.crash) {
      const { port } = running;
      for (const socket of space.sockets.values()) socket.conn.transport.socket.terminate();
      await stop(running);
      running = await start(port);
    }
    say({ done: true });
  }

  createInterface({ input: process.stdin })
    .on('line', (line) => obey(JSON.parse(line)))
    .on('close', () => process.exit());
  say({ listening: running.port });
}

// Of the setup, what the library takes.
function options({ pingInterval = 25_000, pingTimeout = 20_000, maxPayload = 1_000_000 }) {
  return { pingInterval, pingTimeout, maxHttpBufferSize: maxPayload };
}

module.exports = { Gateway, control, options, setup: JSON.parse(process.argv[2] ?? '{}') };
