mod check;
mod connect;
mod place;
