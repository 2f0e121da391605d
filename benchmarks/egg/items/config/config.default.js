'use strict';

exports.keys = 'only a benchmark';
exports.logger = { level: 'WARN', consoleLevel: 'WARN', disableConsoleAfterReady: false };
