'use strict';

// Measures what BENCH_PLAN asks for once the cluster is ready, and prints one line of JSON.
// Messages between two turns of the event loop, which is when pipes are written. Both extremes are tried and the better one counts.
const BATCHES = [ 500, Infinity ];

const now = () => performance.now() / 1000;

async function oneWay(messenger, payload, count, batch) {
  const expecting = new Promise(resolve => messenger.once('expecting', resolve));
  messenger.sendToAgent('expect', count);
  await expecting;
  const arrived = new Promise(resolve => messenger.once('arrived', resolve));
  const began = now();
  for (let sent = 0; sent < count;) {
    for (const end = Math.min(count, sent + batch); sent < end; sent++) messenger.sendToAgent('flood', payload);
    await new Promise(setImmediate);
  }
  await arrived;
  return count / (now() - began);
}

async function roundTrips(messenger, payload, count, outstanding) {
  const latencies = new Float64Array(count);
  const sentAt = [];
  let sent = 0;
  let done = 0;
  const ping = () => {
    sent++;
    sentAt.push(now());
    messenger.sendToAgent('ping', payload);
  };
  const began = now();
  await new Promise(resolve => {
    const pong = () => {
      latencies[done++] = now() - sentAt.shift(); // answers come in order
      if (sent < count) ping();
      if (done === count) {
        messenger.removeListener('pong', pong);
        resolve();
      }
    };
    messenger.on('pong', pong);
    for (let i = 0; i < outstanding; i++) ping();
  });
  const rate = count / (now() - began);
  latencies.sort();
  return { rate, p50: latencies[Math.floor(count / 2)] * 1e6 };
}

async function measure(messenger, plan) {
  const figures = {};
  for (const size of plan.sizes) {
    const payload = 'x'.repeat(size);
    await roundTrips(messenger, payload, 2000, 16); // warm up
    const oneWays = [];
    for (const batch of BATCHES) oneWays.push(await oneWay(messenger, payload, plan.one_way, batch));
    figures[size] = {
      one_way: Math.max(...oneWays),
      together: (await roundTrips(messenger, payload, plan.together, 64)).rate,
      alone: (await roundTrips(messenger, payload, plan.alone, 1)).p50,
    };
  }
  return figures;
}

module.exports = app => {
  app.messenger.once('egg-ready', () => {
    measure(app.messenger, JSON.parse(process.env.BENCH_PLAN)).then(
      figures => console.log('FIGURES ' + JSON.stringify(figures)),
      error => console.log('FAILED ' + error.stack));
  });
};
