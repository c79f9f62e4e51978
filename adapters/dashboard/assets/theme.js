"use strict";(()=>{var t=(()=>{try{return localStorage.getItem("ebb-theme")}catch{return null}})();(t==="dark"||t==="light")&&(document.documentElement.dataset.theme=t);})();
