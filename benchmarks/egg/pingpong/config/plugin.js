'use strict';

// Nothing but the messenger is measured.
for (const name of [ 'session', 'i18n', 'watcher', 'multipart', 'security', 'development', 'logrotator', 'schedule', 'static', 'jsonp', 'view' ]) {
  exports[name] = false;
}
