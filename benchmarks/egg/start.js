'use strict';

// Starts the ping-pong application with one agent and one worker, as `egg-scripts` would.
const path = require('node:path');
const { startCluster } = require('egg');

startCluster({ baseDir: path.join(__dirname, 'pingpong'), framework: path.join(__dirname, 'node_modules/egg'), workers: 1, port: Number(process.argv[2]) });
