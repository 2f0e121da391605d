'use strict';

// Answers each ping, and counts a flood until the number announced has arrived.
module.exports = agent => {
  let missing = 0;
  agent.messenger.on('ping', data => agent.messenger.sendToApp('pong', data));
  agent.messenger.on('expect', count => {
    missing = count;
    agent.messenger.sendToApp('expecting');
  });
  agent.messenger.on('flood', () => {
    if (--missing === 0) agent.messenger.sendToApp('arrived');
  });
};
