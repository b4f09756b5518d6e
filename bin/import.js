/** `import()` for dist/: Node 20 forgets where compiled code may import from, so the bundle asks this file to. */
'use strict';
module.exports = (id) => import(id);
