'use strict';

// Only what tamago has switched on as well.
for (const name of [ 'session', 'i18n', 'watcher', 'multipart', 'security', 'development', 'logrotator', 'schedule', 'jsonp', 'view' ]) {
  exports[name] = false;
}
