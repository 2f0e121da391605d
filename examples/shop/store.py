"""Products and orders in an SQLite file. Knows nothing of HTTP, processes or exchange rates."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import URL, ForeignKey, String, create_engine, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

STOCK: Final = (("egg cup", 450), ("whisk", 1290), ("omelette pan", 3900))


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    cents: Mapped[int]  # in the base currency


class Order(Base):
    """A sale at the exchange rate of its moment; `total` is in `currency`."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    rate: Mapped[str] = mapped_column(String(20))  # text: SQLite has no decimals
    total: Mapped[str] = mapped_column(String(30))


class Store:
    """One process's connections to the database file.

    Make it after the fork, in the application's start-up: an SQLite connection must not be shared between processes.
    """

    def __init__(self, path: str) -> None:
        self._engine = create_engine(URL.create("sqlite", database=path), connect_args={"timeout": 10.0})

    def prepare(self) -> None:
        """Create and fill the tables, if nobody did."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # All workers come here at once. Taking the write lock before looking is what makes exactly one of them do it.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            Base.metadata.create_all(connection)
            if connection.scalar(select(func.count()).select_from(Product)) == 0:
                connection.execute(insert(Product), [{"name": name, "cents": cents} for name, cents in STOCK])
            connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        self._engine.dispose()

    def products(self) -> Sequence[Product]:
        with Session(self._engine) as session:
            return session.scalars(select(Product).order_by(Product.id)).all()

    def product(self, product_id: int) -> Product | None:
        with Session(self._engine) as session:
            return session.get(Product, product_id)

    def order(self, order_id: int) -> Order | None:
        with Session(self._engine) as session:
            return session.get(Order, order_id)

    def add_order(self, product: Product, *, quantity: int, currency: str, rate: Decimal) -> Order:
        """Write down a sale of `quantity` pieces at `rate`, rounded to two places."""
        total = (Decimal(product.cents) / 100 * quantity * rate).quantize(Decimal("0.01"))
        order = Order(product_id=product.id, quantity=quantity, currency=currency, rate=str(rate), total=str(total))
        with Session(self._engine, expire_on_commit=False) as session:
            session.add(order)
            session.commit()
        return order
