/* Runs before the first paint, so that a dark screen never flashes white. The only thing kept in localStorage. */
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem('hbcloud-theme');
  } catch {
    /* storage is off: follow the system */
  }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
